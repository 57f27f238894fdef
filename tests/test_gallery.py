"""The gallery's figures are what its commands make; run as a script, this makes them anew."""

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner
from test_docs import GALLERY, blocks

from tinygrad_rnn.cli import cli

DOCS = GALLERY.parent
COMMANDS = [command for block in blocks(GALLERY.read_text("utf-8")) for command in block.commands]


def name_of(command):
    return shlex.split(command)[-1]


def make(command):
    result = CliRunner().invoke(cli, shlex.split(command))
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("command", COMMANDS, ids=name_of)
def test_a_figure_is_what_its_command_makes(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make(command)
    name = name_of(command)
    kept = (DOCS / "figures" / name).read_text("utf-8")
    assert Path(name).read_text("utf-8") == kept, "make it anew"


def test_every_command_of_the_gallery_is_found():
    assert len(COMMANDS) == GALLERY.read_text("utf-8").count("\n```console\n") >= 10


def test_every_picture_of_the_pages_exists():
    pages = {page: page.read_text("utf-8") for page in DOCS.glob("*.md")}
    for page, text in pages.items():
        for target in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text):
            assert (page.parent / target).is_file(), (page.name, target)


if __name__ == "__main__":
    import os

    os.chdir(DOCS / "figures")
    for command in COMMANDS:
        make(command)
