"""`python -m tinygrad_rnn` is `tinygrad-rnn`."""

from .cli import main

main()
