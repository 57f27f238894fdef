"""What recording an op costs: `tinygrad-rnn bench --part ops`, for whoever looks for it here."""

import sys

from tinygrad_rnn.cli import cli

if __name__ == "__main__":
    cli(["bench", "--part", "ops", *sys.argv[1:]], prog_name="tinygrad-rnn")
