"""What a person sees of a study: the command, its table, its charts on a terminal and in files."""

import io
import json
import xml.etree.ElementTree as ET

import pytest
from click.testing import CliRunner
from rich.console import Console

from tinygrad_rnn.cli import cli
from tinygrad_rnn.diagrams.picture.theme import DARK, LIGHT
from tinygrad_rnn.studies import STUDIES, Chart, Grid, Line, conduct
from tinygrad_rnn.studies.chart import figure, render
from tinygrad_rnn.studies.terminal import draw, table
from tinygrad_rnn.studies.vanish import Vanish


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return lambda *words, **options: CliRunner().invoke(cli, ["study", *map(str, words)], **options)


@pytest.mark.rest
def test_the_command_leaves_table_charts_and_flow(run, tmp_path):
    result = run("vanish", "--seeds", "1", "--backend", "sequential", "--out", "found")
    assert result.exit_code == 0, result.output
    names = {path.name for path in (tmp_path / "found").iterdir()}
    kinds = [
        f"vanish{flow}{dark}.{format}"
        for flow in ("", "-flow")
        for dark in ("", "-dark")
        for format in ("svg", "png")
    ]
    assert names == {"vanish.json", *kinds}
    assert (
        result.output.count("1 of 1")
        == len(json.loads((tmp_path / "found/vanish.json").read_text())["table"])
        == 8
    )
    assert "Pascanu" in result.output


def test_a_claim_that_does_not_hold_is_the_answer_no(run, monkeypatch):
    monkeypatch.setattr("tinygrad_rnn.studies.vanish.TOLERANCE", -1.0)
    for files in ("save_charts", "save_flow"):
        monkeypatch.setattr(f"tinygrad_rnn.studies.commands.{files}", lambda *_: [])
    result = run("vanish", "--seeds", "1", "--backend", "sequential")
    assert result.exit_code == 1
    assert "0 of 1" in result.output


def test_the_list_names_every_study(run):
    result = run("--list")
    assert result.exit_code == 0
    assert all(name in result.output for name in STUDIES)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "--list shows them"),
        (["nonsense"], "there is no study 'nonsense'; there are history,"),
        (["\x1b[31m"], "there is no study '\\x1b[31m'"),
        (["vanish", "--seeds", "0"], "--seeds"),
        (["vanish", "--file", "x.txt"], "the study vanish reads no file"),
        (["vanish", "--out", "taken"], "taken"),
    ],
)
def test_bad_input_is_one_clear_line(run, tmp_path, words, message):
    (tmp_path / "taken").write_text("a file", "utf-8")
    result = run(*words)
    assert result.exit_code == 2
    assert message in result.stderr
    assert "Traceback" not in result.output


CHART = Chart("title", "x, steps", "y, nats", [
    Line("falling", [1, 10, 100], [1e-2, 1e-3, 0.0]),
    Line("dotted", [1, 100], [1.0, 2.0], "dots"),
    Line("theory", [1, 100], [0.1, 0.1], "reference"),
], log_x=True, log_y=True)  # fmt: skip
GRID = Grid("title", "k", "t", "norm", [[1.0, 0.0], [0.5, 2.0]])


@pytest.mark.rest
def test_charts_are_a_file_and_the_same_each_time():
    light, again, dark = (render([CHART, GRID], theme, "svg") for theme in (LIGHT, LIGHT, DARK))
    assert ET.fromstring(light).tag.endswith("svg")
    assert ET.fromstring(dark).tag.endswith("svg")
    assert light == again != dark


def texts_of(drawn_figure):
    """Every text that is seen: matplotlib keeps those of ticks beyond the axes' ends, too."""
    for axes in drawn_figure.axes:
        yield axes.title
        yield from axes.get_legend().get_texts() if axes.get_legend() else ()
        for axis in (axes.xaxis, axes.yaxis):
            yield axis.label
            low, high = sorted(axis.get_view_interval())
            ticks = [] if axes.get_label() == "<colorbar>" else axis.get_major_ticks()
            yield from (tick.label1 for tick in ticks if low <= tick.get_loc() <= high)


@pytest.mark.rest
def test_no_text_of_a_chart_overlaps_another():
    """Titles, axes' names, numbers and legends of every exact study, measured as drawn."""
    for name in ("history", "vanish", "rtrl"):
        drawn_figure = figure(conduct(STUDIES[name](), backend="sequential").charts, LIGHT)
        drawn_figure.draw_without_rendering()
        boxes = [(text.get_text(), text.get_window_extent()) for text in texts_of(drawn_figure)]
        for i, (one, box) in enumerate(boxes):
            assert [other for other, place in boxes[:i] if box.overlaps(place)] == [], (name, one)


def drawn(thing, **options):
    console = Console(file=io.StringIO(), width=100, **options)
    console.print(thing)
    return console.file.getvalue()


def test_a_chart_in_characters():
    lines = drawn(draw(CHART, 60)).splitlines()
    assert lines[0] == "title"
    assert max(map(len, lines)) <= 60
    legend = next(row for row, line in enumerate(lines) if "→ x, steps; ↑ y, nats" in line) + 1
    assert [line.split(maxsplit=1)[1] for line in lines[legend : legend + 3]] == [
        "theory",
        "falling",
        "dotted",
    ]
    rows = {mark: next(row for row, line in enumerate(lines) if mark in line) for mark in "●■"}
    assert rows["■"] < rows["●"]  # 1 and 2 stand above 0.01


def test_a_grid_in_characters():
    lines = drawn(draw(GRID, 60)).splitlines()
    assert [line.split() for line in lines[1:3]] == [["0", "▓▓·"], ["1", "░░██"]]
    assert "· exactly 0" in lines[3]


@pytest.mark.parametrize("chart", [CHART, GRID], ids=["lines", "grid"])
def test_a_plain_terminal_gets_ascii(chart):
    text = drawn(draw(chart, 60, plain=True))
    assert set(text.replace("→", "").replace("↑", "").replace("↓", "").replace("…", "")) <= set(
        map(chr, range(128))
    )


def test_the_table_says_no_where_a_claim_fails(monkeypatch):
    monkeypatch.setattr("tinygrad_rnn.studies.vanish.TOLERANCE", -1.0)
    text = drawn(table(conduct(Vanish(), backend="sequential")))
    assert text.count("0 of 1") == 4
    assert text.count("1 of 1") == 4
