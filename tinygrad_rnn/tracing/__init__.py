"""The recorded run: events, the graph they make, and the network whose copies are in it."""
