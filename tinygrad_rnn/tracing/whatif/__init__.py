"""A recorded run is a program with its numbers: it can be run again with others."""
