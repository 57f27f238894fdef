"""Every command: through the session, and where it has a key, through the key on the screen."""

import asyncio
from itertools import product

import pytest
from debugger.runs import session, text

from tinygrad_rnn.debugger import views
from tinygrad_rnn.debugger.app import Debugger
from tinygrad_rnn.debugger.commands import COMMANDS, execute
from tinygrad_rnn.debugger.events import phase_of
from tinygrad_rnn.errors import TinygradError


def find(s, kind, op, t):
    return next(e.index for e in s.trace.events if (e.kind, e.op, e.copy) == (kind, op, t))


@pytest.fixture(scope="module")
def places():
    """Where the rows are tried: the tanh of t=1, its vjp, and the end."""
    s = session()
    return {
        "start": 0,
        "tanh": find(s, "forward", "tanh", 1),
        "vjp": find(s, "vjp", "tanh", 1),
        "end": len(s.trace.events) - 1,
    }


# A line, where it is given, and what came of it: where that leads, and what it says.
ROWS = [
    ("step", "tanh", lambda s, at: s.cursor == at + 1, ""),
    ("step op 3", "tanh", lambda s, at: s.cursor == at + 3, ""),
    ("step cell", "tanh", lambda s, at: s.cursor > at, ""),
    ("step t", "tanh",
     lambda s, at: s.event.copy == 1 and s.trace.events[s.cursor + 1].copy == 2, ""),
    ("step layer", "tanh", lambda s, at: s.trace.events[s.cursor + 1].layer != s.event.layer, ""),
    ("step phase", "tanh", lambda s, at: phases(s) == ("forward", "update"), ""),
    ("back", "tanh", lambda s, at: s.cursor == at - 1, ""),
    ("back op 3", "tanh", lambda s, at: s.cursor == at - 3, ""),
    ("back cell", "tanh",
     lambda s, at: s.cursor < at and s.trace.events[s.cursor + 1].copy == 1, ""),
    ("back t", "tanh",
     lambda s, at: s.event.copy == 0 and s.trace.events[s.cursor + 1].copy == 1, ""),
    ("back layer", "tanh", lambda s, at: s.cursor < at, ""),
    ("back phase", "vjp", lambda s, at: phases(s) == ("update", "backward"), ""),
    ("into", "tanh", lambda s, at: s.cursor == at, "no folded module is here"),
    ("out; into", "tanh", lambda s, at: s.folded == set(), ""),
    ("out", "tanh", lambda s, at: len(s.folded) == 1 and s.folded_call(s.event) in s.folded, ""),
    ("continue", "tanh",
     lambda s, at: s.cursor == len(s.trace.events) - 1, "no breakpoint on the way to the end"),
    ("break op=tanh; continue", "tanh",
     lambda s, at: (s.event.op, s.event.copy) == ("tanh", 2), "breakpoint 0:"),
    ("break op=tanh; rcontinue", "tanh",
     lambda s, at: (s.event.op, s.event.copy) == ("tanh", 0), "breakpoint 0:"),
    ("rcontinue", "tanh", lambda s, at: s.cursor == 0, "no breakpoint on the way to the start"),
    ("jump 5", "tanh", lambda s, at: s.cursor == 5, ""),
    ("jump +4", "tanh", lambda s, at: s.cursor == at + 4, ""),
    ("jump -4", "tanh", lambda s, at: s.cursor == at - 4, ""),
    ("jump step 0", "tanh", lambda s, at: s.cursor == 0, ""),
    ("step update", "tanh", lambda s, at: s.cursor == len(s.trace.events) - 1, ""),
    ("back update", "tanh", lambda s, at: s.cursor == 0, ""),
    ("steps", "end", lambda s, at: s.cursor == at, "‖Δw‖/‖w‖"),
    ("grads", "end", lambda s, at: s.cursor == at, "4 of 4"),
    ("jump start", "tanh", lambda s, at: s.cursor == 0, ""),
    ("jump end", "tanh", lambda s, at: s.cursor == len(s.trace.events) - 1, ""),
    ("flip", "tanh",
     lambda s, at: (s.event.kind, s.event.op, s.event.copy) == ("vjp", "tanh", 1), ""),
    ("flip", "vjp",
     lambda s, at: (s.event.kind, s.event.op, s.event.copy) == ("forward", "tanh", 1), ""),
    ("why", "tanh", lambda s, at: s.cursor == at, "h@1[0,0] = tanh "),
    ("why h@1[1,2]", "end", lambda s, at: s.cursor == at, "h@1[1,2] = tanh "),
    ("why d.h@1[1,2]", "end", lambda s, at: s.cursor == at, "∂L/∂h@1[1,2]"),
    ("origin", "vjp", lambda s, at: s.cursor == at, "← ∂L/∂loss"),
    ("origin h@1[0,0]", "end", lambda s, at: s.cursor == at, "← z@1[0,0]"),
    ("last", "tanh", lambda s, at: s.name == "h@0", ""),
    ("last z", "tanh", lambda s, at: s.name == "z@1" and s.cursor < at, ""),
    ("next out", "tanh", lambda s, at: s.name == "h@2", ""),
    ("next", "start", lambda s, at: s.cursor == at + 1, ""),
    ("over 2", "tanh", lambda s, at: s.cursor == at + 2, ""),
    ("up", "tanh", lambda s, at: s.frame == 1, "runs.py:"),
    ("up; down", "tanh", lambda s, at: s.frame == 0, "→"),
    ("down 9", "tanh", lambda s, at: s.frame < 0, "cells.py:"),
    ("axis 1 = 2", "tanh", lambda s, at: s.index == (0, 2), ""),
    ("axis 0 = +1; axis 0 = -1", "tanh", lambda s, at: s.index == (0, 0), ""),
    ("next d.h@1", "tanh", lambda s, at: s.name == "d.h@1", ""),
    ("diff", "tanh", lambda s, at: s.cursor == at, "h@0 and h@1: norms"),
    ("diff h 0 3", "end", lambda s, at: s.cursor == at, "h@0 and h@3: norms"),
    ("ledger", "end", lambda s, at: s.cursor == at, "one row for each use"),
    ("ledger W_hh", "end", lambda s, at: s.cursor == at, "∂L/∂W_hh: one row for each use"),
    ("verify", "vjp", lambda s, at: s.cursor == at, "vjp and central difference agree"),
    ("set h[0,1] = 0", "tanh",
     lambda s, at: s.cursor == at and s.value[0, 1] == 0 != s.run.events[at].value[0, 1],
     "branch 1: h@1[0,1] = 0"),
    ("set W_hh *= 1.2; set d.h@2 = 0", "end",
     lambda s, at: not s.lookup("d.z@2").any(), "branch 1: W_hh *= 1.2, d.h@2 = 0"),
    ("set G = 0", "vjp", lambda s, at: not s.lookup("G").any(), "branch 1: d.h@1 = 0"),
    ("set out = 1", "vjp", lambda s, at: (s.value == 1).all(), "branch 1: term#"),
    ("set A = 0", "tanh", lambda s, at: not s.value.any(), "branch 1: z@1 = 0"),
    ("set h = h@0; set h *= 2; undo", "end",
     lambda s, at: (s.lookup("h@3") == s.lookup("h@0")).all(), "undone: h@3 *= 2"),
    ("set h = 0; undo", "tanh", lambda s, at: s.trace is s.run, "this is the run again"),
    ("set h = 0; branch run; set h = 1; branch", "tanh",
     lambda s, at: s.branches.current == 2, "  branch 1: h@1 = 0\n      loss 0.62"),
    ("set h = 0; branch drop 1", "tanh", lambda s, at: s.trace is s.run, "branch 1 is dropped"),
    ("set h = 0; branch run; branch 1", "tanh",
     lambda s, at: s.trace is not s.run, "branch 1: h@1 = 0"),
    ("set h = 0; branch toggle", "tanh", lambda s, at: s.trace is s.run, "the run"),
    ("branch", "tanh", lambda s, at: s.trace is s.run, "no branch: `set h@3 = 0` makes one"),
    ("set h = 0; diff", "tanh", lambda s, at: s.cursor == at, "h@1 in the run and in branch 1"),
    ("set h@2[0,0] = 0; break differs > 0.5; jump start; continue", "start",
     lambda s, at: s.name == "h@2", "breakpoint 0: differs > 0.5"),
    ("break differs > 0.5", "start", lambda s, at: s.cursor == at,
     "which differs from itself nowhere"),
    ("set h = 0; break change=norm(h@1); jump start; continue", "tanh",
     lambda s, at: s.cursor == at, "breakpoint 0: change=norm(h@1)"),
    ("select 1,2", "tanh", lambda s, at: s.index == (1, 2), ""),
    ("watch norm(h)", "tanh", lambda s, at: len(s.watches) == 1, "0: norm(h) = "),
    ("watch h; unwatch", "tanh", lambda s, at: s.watches == [], "no watch is left"),
    ("watch h; watch z; unwatch 0", "tanh",
     lambda s, at: [w.text for w in s.watches] == ["z"], "watch 0 removed"),
    ("print norm(h)", "tanh", lambda s, at: s.cursor == at, "norm(h) = "),
    ("assert norm(h) > 0", "tanh", lambda s, at: s.cursor == at, "holds: norm(h) > 0"),
    ("break bwd op=tanh t=1", "tanh",
     lambda s, at: len(s.breakpoints) == 1, "breakpoint 0: bwd op=tanh t=1"),
    ("break nan; delete", "tanh", lambda s, at: s.breakpoints == [], "no breakpoint is left"),
    ("break nan; break inf; delete 0", "tanh",
     lambda s, at: [b.text for b in s.breakpoints] == ["inf"], "0 removed"),
    ("info", "tanh", lambda s, at: s.cursor == at, "held"),
    ("list", "tanh", lambda s, at: s.cursor == at, "→"),
    ("where", "tanh", lambda s, at: s.cursor == at, "runs.py:"),
    ("/cross_entropy", "tanh", lambda s, at: s.event.op == "cross_entropy", ""),
    ("help", "tanh", lambda s, at: s.cursor == at, "Every key stands for a command"),
    ("help break", "tanh", lambda s, at: s.cursor == at, "break fwd|bwd|acc|upd"),
    ("quit", "tanh", lambda s, at: s.cursor == at, ""),
]  # fmt: skip


def named(line):
    last = line.split("; ")[-1]
    return "search" if last.startswith("/") else last.split()[0]


def phases(s):
    """Of where it is, and of the event after it."""
    return tuple(phase_of(event) for event in s.trace.events[s.cursor : s.cursor + 2])


def test_every_command_has_a_row():
    assert {named(line) for line, *_ in ROWS} == {command.name for command in COMMANDS}


@pytest.mark.parametrize(
    ("line", "place", "holds", "says"), ROWS, ids=[f"{row[0]} at {row[1]}" for row in ROWS]
)
def test_a_row_through_the_session(places, line, place, holds, says):
    s = session()
    s.cursor = places[place]
    *before, last = line.split("; ")
    for earlier in before:
        execute(s, earlier)
    reply = execute(s, last)
    assert holds(s, places[place])
    assert says in text(views.answer(s, reply.answer, 100))
    assert reply.quit == (line == "quit")


def as_typed(place, line):
    """What the line leads to, and what it answers at some width."""
    s = prepared(session(), place, line)
    try:
        answer = execute(s, line).answer
    except TinygradError as error:
        refused = error
        return s, lambda width: [part.plain for part in views.failure(refused, width)]
    return s, lambda width: [part.plain for part in views.answer(s, answer, width)]


def prepared(s, place, line):
    s.cursor, s.index = place, ()
    s.folded.clear()
    s.breakpoints.clear()
    execute(s, "break op=tanh")
    if line == "into":
        execute(s, "out")
    return s


@pytest.mark.rest
def test_a_key_leads_where_its_line_leads_and_shows_what_that_answers(places):
    app = Debugger(session())
    differing = []
    keys = [(key, line) for c in COMMANDS for key, line in c.keys if line not in ("/", "quit")]

    async def press_all():
        async with app.run_test(size=(140, 24)) as pilot:
            await pilot.pause()
            for place, (key, line) in product(places.values(), keys):
                prepared(app.session, place, line)
                await pilot.press(key)
                typed, answered = as_typed(place, line)
                wanted = answered(app.pane("step").size.width) or [""]
                shown = [part.plain for part in app.answer] or [app.message.plain]
                ways = [(s.cursor, len(s.folded)) for s in (typed, app.session)]
                if shown != wanted or ways[0] != ways[1]:
                    differing.append((place, key, shown, wanted, ways))
            await pilot.press("slash")
            assert app.focused.value == "/"
            await pilot.press("escape", "q")

    asyncio.run(press_all())
    assert differing == []
    assert app.return_value == 0
