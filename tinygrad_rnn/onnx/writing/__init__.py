"""From a recorded graph to the bytes of a file."""
