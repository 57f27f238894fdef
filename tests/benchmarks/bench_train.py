"""One training step of a character RNN, in every way at hand: `tinygrad-rnn bench`."""

import sys

from tinygrad_rnn.cli import cli

if __name__ == "__main__":
    cli(["bench", *sys.argv[1:]], prog_name="tinygrad-rnn")
