"""The museum's page: all programs, each with its picture; run as a script, this draws all anew."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from tinygrad_rnn.cli import cli

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "museum.md").read_text("utf-8")
FIGURES = ROOT / "docs" / "figures" / "museum"
NAMES = sorted(path.stem for path in (ROOT / "examples" / "museum").glob("*.py"))
SAMPLE = ["elman", "lstmp", "transformer"]


def drawn(name, path):
    """The command of the page."""
    program = str(ROOT / "examples" / "museum" / f"{name}.py")
    result = CliRunner().invoke(cli, ["draw", program, "-o", str(path)])
    assert result.exit_code == 0, result.output
    return path.read_text("utf-8")


def test_each_program_has_its_place_on_the_page():
    sections = PAGE.split("\n## ")[1:]
    years = [int(section[:4]) for section in sections]
    assert years == sorted(years)
    shown = [re.search(r"\(figures/museum/(\w+)\.svg\)", section)[1] for section in sections]
    assert sorted(shown) == NAMES
    for name, section in zip(shown, sections, strict=True):
        assert f"`tinygrad-rnn draw examples/museum/{name}.py -o {name}.svg`" in section
        assert f"python examples/museum/{name}.py" in section
        assert len(section.split()) > 60  # what is recurrent in it, and its history


@pytest.mark.parametrize("name", SAMPLE)
def test_a_figure_of_the_page_is_what_the_command_draws(name, tmp_path):
    kept = (FIGURES / f"{name}.svg").read_text("utf-8")
    assert drawn(name, tmp_path / "x.svg") == kept, "run this file as a script, and look at them"


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in NAMES if name not in SAMPLE])
def test_all_figures_of_the_page_are_what_their_commands_draw(name, tmp_path):
    test_a_figure_of_the_page_is_what_the_command_draws(name, tmp_path)


if __name__ == "__main__":
    for name in NAMES:
        drawn(name, FIGURES / f"{name}.svg")
