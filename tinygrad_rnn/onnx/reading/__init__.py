"""From the bytes of a file to plain data that has been checked; no code of a file is run."""
