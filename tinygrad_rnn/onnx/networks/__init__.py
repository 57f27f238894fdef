"""The modules that a file becomes: a tree with the names of its graph, run on our ops."""
