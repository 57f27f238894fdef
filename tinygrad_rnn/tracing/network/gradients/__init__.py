"""What a backward pass sends back through a network."""
