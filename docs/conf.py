"""How Sphinx builds these pages: `pip install -e '.[docs]' && sphinx-build -W docs docs/_build`.

The pages are plain Markdown that any reader of the repository can read. What makes a site of them
stands in `_ext/`: cells that run, mathematics without a script, figures that follow dark mode.
"""

import sys
from importlib import metadata
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "tinygrad_rnn"
author = "tinygrad_rnn contributors"
copyright = "2026, tinygrad_rnn contributors, MIT licence"
release = metadata.version("tinygrad-rnn")

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "accessible",
    "chapters",
    "docstrings",
    "figures",
    "maths",
]
exclude_patterns = ["_build", "_ext"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "force"
nb_execution_in_temp = True  # what a chapter saves is nobody's business
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_merge_streams = True
html_math_renderer = "mathml"
default_role = "code"  # docstrings mark code with one backtick
autodoc_preserve_defaults = True
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the signatures say them, and the docstrings the shapes
copybutton_prompt_text = "$ "

html_theme = "furo"
html_title = "tinygrad_rnn"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_copy_source = False
