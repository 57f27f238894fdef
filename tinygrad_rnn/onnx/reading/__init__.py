"""From the bytes of a file to plain data, checked. No code of a file is run."""
