"""What is drawn, line by line: goldens at two widths, marks without colour, widths that are kept.

`python tests/debugger/test_views.py` writes the goldens anew; read the difference before you commit
it.
"""

from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from tables import one_in

import tinygrad_rnn as tg
from tinygrad_rnn.debugger import views
from tinygrad_rnn.debugger.commands import execute
from tinygrad_rnn.debugger.plain import Transcript
from tinygrad_rnn.debugger.session import Session
from tinygrad_rnn.tracing.questions.notation import precise
from tinygrad_rnn.tracing.recording.event import Event

GOLDENS = Path(__file__).parent / "goldens"
PANES = {80: (46, 17), 140: (70, 37)}  # the room for a step on a terminal so wide


def run():
    """Numbers that need no random generator, so that they are the same everywhere."""
    grid = lambda *shape: np.sin(np.arange(float(np.prod(shape)))).reshape(shape)
    W_xh = tg.tensor(grid(4, 3), requires_grad=True, name="W_xh")
    W_hh = tg.tensor(0.5 * grid(4, 4), requires_grad=True, name="W_hh")
    with tg.trace() as tr:
        h = tg.tensor(np.zeros((2, 4)))
        for x in grid(3, 2, 3):
            with tg.scope("cell"):
                z = tg.ops.linear(x, W_xh) + tg.ops.linear(h, W_hh)
                h = tg.ops.tanh(z)
        loss = (h * h).sum()
        loss.backward()
    return tr


def events(tr):
    """A product, a slope, a node that waits for its terms, and the start of the backward pass."""
    kinds = {
        "forward-linear": ("forward", "linear"),
        "backward-tanh": ("vjp", "tanh"),
        "backward-linear": ("vjp", "linear"),
    }
    found = {
        name: [e.index for e in tr.events if (e.kind, e.op) == kind][2]
        for name, kind in kinds.items()
    }
    return found | {"seed": next(e.index for e in tr.events if e.kind == "seed")}


def pages(tr):
    for name, index in events(tr).items():
        for width, (columns, rows) in PANES.items():
            session = Session(tr, index)
            lines = [*views.step(session, columns, rows), *views.Tree(session).lines(0, 30, 12)]
            lines += [
                views.timeline(session, width),
                views.status(session, width),
                views.key_hints(width),
            ]
            text = "\n".join(line.plain.rstrip() for line in lines) + "\n"
            yield f"{name}-{width}.txt", text


@pytest.fixture(scope="module")
def tr():
    return run()


def test_the_goldens(tr):
    differing = [name for name, text in pages(tr) if (GOLDENS / name).read_text("utf-8") != text]
    assert differing == []


@pytest.mark.parametrize("width", one_in(3, [12, 20, 46, 70, 200]))
def test_no_line_is_wider_than_asked_for(tr, width):
    for index in range(0, len(tr.events), 3):
        session = Session(tr, index)
        lines = [
            *views.step(session, width, 30),
            *views.side(session, width, 30),
            *views.help_lines(width),
        ]
        lines += [
            views.timeline(session, width),
            views.status(session, width),
            views.key_hints(width),
        ]
        for line in ("why", "info", "help"):
            lines += views.answer(session, execute(session, line).answer, width)
        assert all(line.cell_len <= width for line in lines)
        assert len(views.step(session, width, 7)) <= 7


def test_in_the_least_room_there_is_still_what_came_of_it(tr):
    for event in tr.events:
        session = Session(tr, event.index)
        shown = [line.plain for line in views.step(session, 40, 5)]
        assert len(shown) <= 5
        assert any(line.endswith(f" = {precise(session.why_here().value)}") for line in shown), (
            shown
        )


def test_what_saturates_shows_its_slope_on_the_way_forward_too():
    with tg.trace() as tr:
        tg.ops.tanh(tg.tensor([0.1, 5.0], name="z"))
    session = Session(tr)
    shown = lambda: "\n".join(line.plain for line in views.step(session, 70, 37))
    assert "slope ∂tanh#0/∂z = +0.9901" in shown()
    assert "saturated" not in shown()
    execute(session, "select 1")
    assert "slope ∂tanh#0/∂z = +0.0001816" in shown()
    assert "saturated: it lets 0.0% of the steepest slope 1 through" in shown()


def test_adding_to_a_gradient_and_clearing_it_show_what_it_held():
    w = tg.tensor([1.0, 2.0], requires_grad=True, name="w")
    with tg.trace() as tr:
        w.sum().backward()
        w.sum().backward()
        w.grad = None
    seen = {}
    for event in tr.events:
        seen[event.kind] = "\n".join(
            line.plain for line in views.step(Session(tr, event.index), 70, 37)
        )
    for title in (
        "w.grad before (2,)  ‖·‖=1.414",
        "∂L/∂w (2,)  ‖·‖=1.414",
        "w.grad after (2,)  ‖·‖=2.828",
    ):
        assert title in seen["accumulate"]
    assert "w.grad before (2,)  ‖·‖=2.828" in seen["zero"]


def test_marks_say_without_colour_what_is_selected_and_what_it_was_made_of():
    matrix = views.Matrix("A", np.array([[1.0, -2.0], [0.0, np.nan]]), (0, 1), {(1, 0): None})
    assert [line.plain for line in matrix.lines(40, 5)[2:]] == [
        " 0  +1.000  -2.000◂ ",
        " 1       0·     nan  ",
    ] or [line.plain.split() for line in matrix.lines(40, 5)[2:]] == [
        ["0", "+1.000", "-2.000◂"],
        ["1", "0·", "nan"],
    ]
    assert "1 NaN" in matrix.lines(40, 5)[0].plain


def test_a_large_matrix_is_a_window_around_the_selected_element():
    large = np.arange(40_000.0).reshape(200, 200)
    lines = [line.plain for line in views.Matrix("W", large, (150, 99)).lines(60, 12)]
    assert len(lines) <= 12
    assert lines[0].startswith(" W (200, 200)  [145:155, 96:102]  ×1e+4")
    assert lines[2].split()[0] == "145"
    assert any("◂" in line for line in lines)
    three = views.Matrix("ys", np.zeros((5, 2, 3)), (4, 1, 2)).lines(60, 9)
    assert "[4, 0:2, 0:3]" in three[0].plain


@pytest.mark.parametrize("height", [17, 37])
def test_equal_terms_of_a_sum_are_each_shown(height):
    with tg.trace() as tr:
        tg.tensor(np.full(3, 2.0), name="x").sum()
    shown = [line.plain for line in views.step(Session(tr), 60, height)]
    assert [line for line in shown if "slope" in line] == [
        f"  x[{i}] = +2, slope +1" for i in range(3)
    ]


def test_the_window_on_an_operand_shows_the_term_that_weighs_most():
    W = np.zeros((60, 60))
    W[0, 41] = 5.0
    with tg.trace() as tr:
        tg.ops.linear(tg.tensor(np.ones(60), name="x"), tg.tensor(W, name="W"))
    shown = [line.plain for line in views.step(Session(tr), 60, 30)]
    assert sum("+5.000·" in line for line in shown) == 1
    assert sum("41" in line.split() for line in shown) == 2  # above the operands x and W


def test_the_numbers_of_a_table_have_digits_whatever_their_size():
    rows = lambda *values: views.Matrix("g", np.array(values)).lines(60, 5)
    assert rows(-5.168e-3, 1.2e-5, 0.0)[0].plain.startswith(" g (3,)  ×1e-3")
    assert rows(-5.168e-3, 1.2e-5, 0.0)[2].plain.split() == ["-5.168", "+0.012", "0"]
    assert rows(12.25, -123.4)[2].plain.split() == ["+12.2", "-123.4"]
    assert rows(5e-324, np.inf, np.nan)[2].plain.split()[1:] == ["+inf", "nan"]


def test_a_refused_op_shows_its_message_once_and_the_operands():
    with tg.trace() as tr, pytest.raises(ValueError, match="mismatch"):
        tg.ops.matmul(tg.tensor(np.ones((2, 3)), name="left"), tg.tensor(np.ones(2), name="right"))
    session = Session(tr, len(tr.events) - 1)
    for height in (17, 37):
        shown = "\n".join(line.plain for line in views.step(session, 70, height))
        assert shown.count("mismatch") == 1
        assert "left (2, 3)" in shown
    assert "matmul raised" in views.Tree(session).lines(0, 30, 5)[0].plain


def whole_life():
    """A run with an event of every kind, the last of them an op that refuses its operands."""
    w = tg.tensor(np.ones((2, 2)), requires_grad=True, name="w")
    x = tg.tensor(np.ones(3), name="x")
    with tg.trace() as tr:
        (w * w).sum().backward()
        w.data = w.data - 0.1 * w.grad.data
        w.grad = None
        with pytest.raises(ValueError, match="mismatch"):
            tg.ops.matmul(w, x)
    return tr


SHOWN = {  # of each kind: its sign in the timeline, the word in the title, and what the tree says
    "forward": ("━", "forward", "mul#0(w, w)"),
    "seed": ("┅", "seed", "∂L/∂sum#1 = the start of the backward pass"),
    "vjp": ("┅", "backward", "∂L/∂mul#0 ← sum#1"),
    "accumulate": ("┿", "accumulate", "w.grad += ∂L/∂w"),
    "update": ("▪", "update", "w ← new values"),
    "zero": ("▪", "zero", "w.grad ← None"),
    "error": ("!", "error", "matmul raised"),
}


def test_every_kind_of_event_occurs_and_is_shown():
    tr = whole_life()
    assert (
        {event.kind for event in tr.events} == {kind.kind for kind in get_args(Event)} == set(SHOWN)
    )
    last = len(tr.events) - 1
    for kind, (sign, word, said) in SHOWN.items():
        session = Session(tr, next(event.index for event in tr.events if event.kind == kind))
        shown = "\n".join(line.plain for line in views.step(session, 70, 37))
        assert f"#{session.cursor} · {word}" in shown
        assert session.cursor == last or "w" in shown
        rows = [line.plain for line in views.Tree(session).lines(0, 60, 99)]
        assert [row[2:].rstrip() for row in rows if row.startswith("▶")] == [said]
        elsewhere = Session(tr, 0 if session.cursor else last)
        assert views.timeline(elsewhere, last + 1).plain[session.cursor] == sign
        assert views.status(session, 100).plain.startswith(f"event {session.cursor}/{last} · ")
        written = []
        Transcript(session, written.append).show_position()
        assert written[0].startswith(f"#{session.cursor} · {word}")


@pytest.mark.parametrize("is_folded", [False, True])
def test_the_tree_is_the_same_from_whatever_end_it_is_looked_at(tr, is_folded):
    session = Session(tr)
    if is_folded:
        session.folded.add(next(event.scope for event in tr.events if event.scope is not None))
    whole, parts = views.Tree(session), views.Tree(session)
    last = len(tr.events) - 1
    assert whole.position(last) == whole.top(10**6, 1)
    rows = [line.plain for line in whole.lines(0, 60, 10**6)]
    assert len(rows) == whole.position(last) + 1
    for top in range(0, len(rows), 3):
        assert parts.top(top, 3) == min(top, max(len(rows) - 3, 0))
        assert [line.plain for line in parts.lines(top, 60, 3)] == rows[top : top + 3]
    fresh = views.Tree(session)
    assert [fresh.position(i) for i in range(last + 1)] == list(
        map(whole.position, range(last + 1))
    )
    assert fresh.row(len(rows)) is None


def test_every_sign_has_an_ascii_spelling(tr):
    for index in range(0, len(tr.events), 5):
        for line in views.step(Session(tr, index), 70, 40):
            assert "?" not in views.plain_ascii(line.plain)


if __name__ == "__main__":
    GOLDENS.mkdir(exist_ok=True)
    for name, text in pages(run()):
        (GOLDENS / name).write_text(text, "utf-8")


def test_long_names_of_parameters_keep_the_ends_that_tell_them_apart():
    class Reader(tg.nn.Module):
        def __init__(self):
            self.encoder_of_sentences = tg.nn.RNNCell(2, 2, rng=0)

        def forward(self, x):
            return self.encoder_of_sentences(x)

    reader = Reader()
    with tg.trace() as tr:
        reader(np.ones(2)).sum().backward()
    shown = [str(text) for text in views.side(Session(tr), 36, 30)]
    names = [text.split()[0] for text in shown if text.startswith("∂")]
    assert names == ["∂enc…tences.W_xh", "∂enc…tences.W_hh", "∂enc…ntences.b_h"]
