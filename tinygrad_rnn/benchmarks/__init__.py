"""What one training step costs, taken in every way at hand, and what it should cost.

Runs as `tinygrad-rnn bench`.
"""
