"""What everything in a network is called, and what is written there."""
