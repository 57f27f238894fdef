"""Recorded runs as files, written whole or not at all, and read without believing them."""
