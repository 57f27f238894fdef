"""Questions to a recorded run, each answered for a moment of it."""
