"""What one training step costs, taken in every available way, and what it should cost.

Runs as `tinygrad-rnn bench`.
"""
