"""The modules made of a file: a tree with the names of its graph, run on our ops."""
