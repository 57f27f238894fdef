"""One training step, taken in every way at hand: what it costs, and what it should. Runs as `tinygrad-rnn bench`."""
