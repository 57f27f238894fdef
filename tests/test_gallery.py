"""The figures of the pages are what their commands make. `python tests/test_gallery.py` makes them anew."""

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from tinygrad_rnn.cli import cli

DOCS = Path(__file__).parents[1] / "docs"
COMMANDS = re.findall(
    r"^\$ tinygrad-rnn (draw .* -o (\w+\.svg))$",
    (DOCS / "gallery.md").read_text("utf-8"),
    re.MULTILINE,
)


def make(command):
    result = CliRunner().invoke(cli, shlex.split(command))
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize(("command", "name"), COMMANDS, ids=[name for _, name in COMMANDS])
def test_a_figure_is_what_its_command_makes(command, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make(command)
    assert Path(name).read_text("utf-8") == (DOCS / "figures" / name).read_text("utf-8"), (
        "make it anew"
    )


def test_every_picture_of_the_pages_exists():
    pages = {page: page.read_text("utf-8") for page in DOCS.glob("*.md")}
    for page, text in pages.items():
        for target in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text):
            assert (page.parent / target).is_file(), (page.name, target)


if __name__ == "__main__":
    import os

    os.chdir(DOCS / "figures")
    for command, _ in COMMANDS:
        make(command)
