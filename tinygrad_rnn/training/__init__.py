"""Character models on a person's own text."""
