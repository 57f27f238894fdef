"""How Sphinx builds these pages: `sphinx-build -W docs docs/_build`."""

from importlib import metadata

project = "tinygrad_rnn"
author = "tinygrad_rnn contributors"
release = metadata.version("tinygrad-rnn")

extensions = ["myst_nb"]
exclude_patterns = ["_build"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "off"  # the tests run every block

html_theme = "furo"
html_title = "tinygrad_rnn"
