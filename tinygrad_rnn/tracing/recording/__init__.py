"""What is written down while a program runs: events, nodes of the graph, lines of source."""
