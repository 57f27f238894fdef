"""The screen and the plain lines of a training run."""

import io
import re

import numpy as np
import pytest
from rich.console import Console

from tinygrad_rnn.training.data import Corpus
from tinygrad_rnn.training.loop import Run, Settings, Step, train
from tinygrad_rnn.training.progress import PlainLines, Screen, chart, heading, progress

TEXT = "the quick brown fox jumps over the lazy dog. " * 30
SETTINGS = Settings(hidden=8, seq=10, batch=2, lr=1e-2)


def console(**options):
    return Console(file=io.StringIO(), **({"width": 100, "_environ": {}} | options))


@pytest.fixture
def run():
    return Run(Corpus.of(TEXT, "fox\x1b.txt", SETTINGS.seq), SETTINGS)


def test_the_heading_says_what_is_trained_on_what(run):
    assert heading(run) == (
        "RNN, 1 layer of 8 units, 548 parameters, on fox␛.txt: 1,350 characters, 28 different ones"
    )


@pytest.mark.parametrize(
    "options", [{}, {"force_terminal": True, "no_color": True}], ids=["piped", "NO_COLOR"]
)
def test_plain_lines_where_nothing_can_be_redrawn(run, options, tmp_path):
    out = console(**options)
    with progress(run, out) as reporter:
        assert isinstance(reporter, PlainLines)
        train(run, tmp_path / "x", reporter, steps=3)
    lines = out.file.getvalue().splitlines()
    assert lines[1].startswith("lines to cross, in nats: unigram 3.0")
    assert re.match(r"step 3   \d+ s   loss 3\.", lines[2])
    assert len(lines) == 3
    assert "\x1b" not in out.file.getvalue().replace("\x1b[1m", "").replace("\x1b[0m", "")


def test_a_screen_that_redraws_itself_on_a_terminal(run, tmp_path):
    out = console(force_terminal=True, color_system="truecolor")
    with progress(run, out) as reporter:
        assert isinstance(reporter, Screen)
        train(run, tmp_path / "x", reporter, steps=3)
    shown = out.file.getvalue()
    for part in (
        "unigram 3.0",
        "bigram 0.6",
        "trigram",
        "it says",
        "step 3",
        "characters/s",
        "gradient",
    ):
        assert part in shown


def filled(run):
    screen = Screen(run, console())
    screen.losses = [(step, 3.5 - step / 100) for step in range(1, 200)]
    screen.validations = [(100, 2.6), (199, 1.6)]
    run.step_number = 199
    return screen


def test_the_chart_has_the_curves_and_the_lines_to_cross(run):
    lines = chart(filled(run), 40, 12).plain.splitlines()
    assert len(lines) == 12
    assert all(len(line) >= 47 for line in lines)
    (unigram,) = (line for line in lines if line.endswith(f"unigram {run.corpus.entropies[0]:.2f}"))
    assert "┄" in unigram
    assert sum(line.count("●") for line in lines) == 2
    column = [next(x for x, c in enumerate(line) if c in "·●") for line in lines if "·" in line]
    assert column == sorted(column)  # the loss falls from left to right


def test_the_chart_in_ascii(run):
    assert chart(filled(run), 40, 12, plain=True).plain.isascii()


def test_the_marks_turn_when_the_loss_on_held_out_text_is_below(run):
    screen = filled(run)
    assert [crossed for _, _, crossed in screen.marks] == [h > 1.6 for h in run.corpus.entropies]
    screen.validations = []
    assert not any(crossed for _, _, crossed in screen.marks)


def test_the_loss_shown_is_smooth(run):
    history = PlainLines(run, console())
    assert np.isnan(history.loss)
    for _ in range(3):
        history.stepped(run.step())
    first, second, third = (loss for _, loss in history.losses)
    assert history.loss == pytest.approx(0.95 * (0.95 * first + 0.05 * second) + 0.05 * third)


def test_a_long_run_keeps_few_points(run):
    history = PlainLines(run, console())
    for number in [*range(1, 3000), *range(99_900, 100_101)]:
        history.stepped(Step(number, 1.0, 1.0))
    numbers = [number for number, _ in history.losses]
    assert numbers[:999] == list(range(1, 1000))
    assert numbers[999:1199] == list(range(1000, 3000, 10))
    assert numbers[1199:] == [99_900, 100_000]


def test_a_text_of_one_character(tmp_path):
    run = Run(Corpus.of("a" * 200, "a.txt", SETTINGS.seq), SETTINGS)
    screen = Screen(run, console())
    train(run, tmp_path / "x", screen, steps=2)
    assert "trigram 0.00" in chart(screen, 40, 12).plain
