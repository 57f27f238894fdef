"""One file a view, and what a view shows beside the copies."""
