"""The cursor and the commands: going back and forth, asking, breakpoints, command files."""

from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from debugger.runs import KINDS, recorded, session, text
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tables import examples, rows

import tinygrad_rnn as tg
from tinygrad_rnn.debugger import views
from tinygrad_rnn.debugger.breakpoints import BREAK_HELP
from tinygrad_rnn.debugger.commands import COMMANDS, execute
from tinygrad_rnn.debugger.events import name_written, phase_of, source_of
from tinygrad_rnn.debugger.expressions import CommandError
from tinygrad_rnn.debugger.plain import Exit, run_commands, run_prompt
from tinygrad_rnn.debugger.session import UNITS, Session
from tinygrad_rnn.errors import TinygradError, TraceError
from tinygrad_rnn.tracing.script import run_script

TRACES = {kind: recorded(kind, layers=2, steps=3, passes=2) for kind in KINDS}


def said(s, line, width=100):
    return text(views.answer(s, execute(s, line).answer, width))


def index_of(s, **facts):
    return next(
        e.index for e in s.trace.events if all(getattr(e, k) == v for k, v in facts.items())
    )


# Moving


@pytest.mark.parametrize("kind", KINDS)
def test_step_then_back_is_the_identity_at_every_event(kind):
    s = Session(TRACES[kind])
    for at in range(len(s.trace.events) - 1):
        s.cursor = at
        execute(s, "step")
        assert s.cursor == at + 1
        execute(s, "back")
        assert s.cursor == at


@settings(max_examples=examples(30))
@given(
    st.sampled_from(list(KINDS)),
    st.integers(1, 2),
    st.integers(1, 4),
    st.integers(1, 2),
    st.booleans(),
    st.data(),
)
def test_step_forward_then_back_changes_nothing_that_can_be_seen(
    kind, layers, steps, passes, folded, data
):
    s = Session(recorded(kind, layers=layers, steps=steps, passes=passes))
    ends = list(s.ends("op"))
    if folded:
        execute(s, f"jump {data.draw(st.sampled_from(ends), 'where it is folded')}")
        execute(s, "out")
        ends = list(s.ends("op"))
    at = data.draw(st.integers(0, len(ends) - 2))
    s.cursor = ends[at]
    before = observed(s)
    execute(s, "step")
    assert s.cursor == ends[at + 1]
    execute(s, "back")
    assert s.cursor == ends[at]
    assert observed(s) == before


@settings(max_examples=examples(60))
@given(
    st.sampled_from(list(KINDS)), st.sampled_from(UNITS), st.integers(0, 10**6), st.integers(1, 5)
)
def test_back_undoes_step_by_any_unit_from_its_ends(kind, unit, where, count):
    s = Session(TRACES[kind])
    ends = list(s.ends(unit))
    at = where % len(ends)
    s.cursor = ends[at]
    execute(s, f"step {unit} {count}")
    assert s.cursor == ends[min(at + count, len(ends) - 1)]
    if at + count < len(ends):
        execute(s, f"back {unit} {count}")
        assert s.cursor == ends[at]


def observed(s):
    """All that can be seen at the cursor."""
    return (
        text(views.step(s, 90, 40)),
        text(views.side(s, 40, 40)),
        views.timeline(s, 100).plain,
        [
            None if g is None else g.tobytes()
            for g in (s.queries.gradient(n, s.cursor) for n in s.parameters)
        ],
    )


WAYS = [
    *("step", "back", "step t", "back cell", "step phase", "flip"),
    *("jump +7", "jump -5", "jump end", "jump start"),
]


@settings(max_examples=examples(25))
@given(
    st.sampled_from(list(KINDS)),
    st.lists(st.sampled_from(WAYS), max_size=12),
    st.integers(0, 10**6),
)
def test_what_is_seen_at_an_event_does_not_depend_on_the_way_there(kind, way, at):
    direct, wandering = Session(TRACES[kind]), Session(TRACES[kind])
    for line in way:
        execute(wandering, line)
    at %= len(direct.trace.events)
    for s in (direct, wandering):
        execute(s, f"jump {at}")
    assert observed(direct) == observed(wandering)


@pytest.mark.parametrize("kind", rows(list(KINDS), ["LSTM"]))
def test_a_longer_recording_says_the_same_of_its_beginning(kind):
    short, long = (
        Session(recorded(kind, steps=3, passes=1)),
        Session(recorded(kind, steps=3, passes=2)),
    )
    for at in range(0, len(short.trace.events), 7):
        short.cursor = long.cursor = at
        # but for how many training steps there are
        seen = text(views.step(long, 90, 60)).replace(" · step 0/2", "")
        assert seen == text(views.step(short, 90, 60))
        assert [short.queries.gradient(n, at) is None for n in short.parameters] == [
            long.queries.gradient(n, at) is None for n in long.parameters
        ]


def to_the_end(s, command):
    """Every place where it stops on the way to an end of the run."""
    stops = []
    while not execute(s, command).answer.lines[0].startswith("no breakpoint"):
        stops.append(s.cursor)
    return stops


breakpoints = st.builds(
    lambda words, condition: " ".join(["break", *words, *condition]),
    st.lists(
        st.sampled_from(["fwd", "bwd", "acc", "upd", "nan", "nonfinite"])
        | st.sampled_from(["tanh", "sigmoid", "linear", "m?l", "*", "none"]).map("op={}".format)
        | st.sampled_from(["h", "h@1", "d.W_*", "W_hh", "c*"]).map("name={}".format)
        | st.sampled_from(["cells.1", "RNN*", "LSTMCell"]).map("in={}".format)
        | st.tuples(st.integers(0, 2), st.integers(0, 1)).map(lambda t: f"t={t[0]}..{t[0] + t[1]}")
        | st.integers(0, 1).map("layer={}".format)
        | st.integers(1, 4).map("hits={}".format)
        | st.sampled_from(["norm(W_hh)", "h", "norm(d.W_hh)"]).map("change={}".format),
        max_size=3,
        unique_by=lambda word: word.partition("=")[0],
    ),
    st.sampled_from([[], [], ["if norm(out) > 0.5"], ["if absmax(G) > 0.01"], ["if h.ndim == 2"]]),
)


@settings(max_examples=examples(40))
@given(st.sampled_from(list(KINDS)), st.lists(breakpoints, min_size=1, max_size=3))
@example("LSTM", ["break op=tanh"])
@example("RNN", ["break hits=3 op=linear", "break upd"])
def test_rcontinue_mirrors_continue(kind, lines):
    s = Session(TRACES[kind])
    for line in lines:
        with suppress(CommandError):  # refused, where its condition can never be evaluated
            execute(s, line)
    there, back = to_the_end(s, "continue"), to_the_end(s, "rcontinue")
    last = len(s.trace.events) - 1
    assert [at for at in s.stops() if at > 0] == there
    assert [at for at in s.stops() if at < last] == back[::-1]
    assert s.cursor == 0


def test_steps_by_cell_timestep_layer_and_phase_end_where_these_end():
    s = session(layers=2)
    execute(s, "step cell")
    execute(s, "step cell")
    assert (s.event.op, s.event.copy, s.event.layer) == ("tanh", 0, 0)
    execute(s, "step layer")
    assert (s.event.op, s.event.copy, s.event.layer) == ("tanh", 0, 1)
    execute(s, "step phase")
    assert phase_of(s.trace.events[s.cursor + 1]) != phase_of(s.event)
    execute(s, "jump end")
    execute(s, "back t 2")
    assert s.cursor < len(s.trace.events) - 1
    execute(s, "step t 999")
    assert s.cursor == len(s.trace.events) - 1
    execute(s, "back op 99999")
    assert s.cursor == 0


def test_out_folds_a_module_that_is_then_one_step_and_into_unfolds_it():
    s = session()
    s.cursor = index_of(s, op="tanh", kind="forward") - 2
    execute(s, "out")
    folded = s.cursor
    assert s.event.op == "tanh"
    execute(s, "step")
    execute(s, "back")
    assert s.cursor == folded
    assert "(5 events)" in text(views.Tree(s).lines(0, 60, 99))
    execute(s, "into")
    assert not s.folded
    execute(s, "back")
    assert s.cursor == folded - 1
    assert "no folded module" in said(s, "into")
    s.cursor = index_of(s, op="cross_entropy", kind="forward")
    assert "no module" in said(s, "out")


def test_jump_flip_last_next_and_search():
    s = session()
    execute(s, "jump 5")
    execute(s, "jump +3")
    assert s.cursor == 8
    execute(s, "jump -2")
    assert s.cursor == 6
    forward = index_of(s, op="tanh", copy=2, kind="forward")
    execute(s, f"jump {forward}")
    execute(s, "flip")
    assert (s.event.kind, s.event.op, s.event.copy) == ("vjp", "tanh", 2)
    execute(s, "flip")
    assert s.cursor == forward
    execute(s, "next h@3")
    assert s.name == "h@3"
    execute(s, "last h")
    assert s.cursor == forward
    execute(s, "next out")
    assert s.name == "h@3"
    assert "nothing writes h@3 after" in said(s, "next h@3")
    execute(s, "next d.h@0")
    assert s.name == "d.h@0"
    execute(s, "jump start")
    execute(s, "/cross_entropy")
    assert s.event.op == "cross_entropy"
    execute(s, "/")
    assert s.event.kind == "seed" or s.event.op == "cross_entropy"
    assert "no event contains" in said(s, "/nowhere to be found")


# Asking


def test_why_of_operands_of_names_and_of_the_event():
    s = session()
    execute(s, f"jump {index_of(s, op='tanh', copy=1, kind='vjp')}")
    assert said(s, "why").startswith("x̄ = ȳ (1 - y²)")
    assert "∂L/∂z@1[1,2]" in said(s, "why out[1,2]")
    assert "∂L/∂h@1[0,1]" in said(s, "why G[0,1]")
    assert "z@1[0,0] = " in said(s, "why A")
    assert "y = tanh x" in said(s, "why h[0,0]")
    execute(s, "select 1,3")
    assert "h@2[1,3] = tanh" in said(s, "why h@2")
    assert said(s, "origin").splitlines()[-1].startswith("← ∂L/∂loss")
    assert said(s, "origin h@1[0,0]").splitlines()[0].strip().startswith("h@1[0,0]")


def test_diff_ledger_and_verify():
    s = session()
    execute(s, "jump end")
    assert "h@1 and h@2: norms" in said(s, "diff h 1 2")
    ledger = said(s, "ledger W_hh")
    assert [row.split()[1] for row in ledger.splitlines()[2:6]] == ["3", "2", "1", "0"]
    assert "to the last bit" in ledger
    assert "∂L/∂W_xh" in said(s, "ledger W_xh")
    execute(s, f"jump {index_of(s, op='linear', copy=1, kind='vjp')}")
    assert "vjp and central difference agree" in said(s, "verify")
    assert "the pass is under way" in said(s, "ledger W_hh")
    execute(s, f"jump {index_of(s, op='tanh', copy=1, kind='forward')}")
    assert "agree" in said(s, "verify")
    assert "h@0 and h@1" in said(s, "diff")


@pytest.mark.parametrize("kind", KINDS)
def test_every_vjp_of_a_run_is_verified_where_it_stands(kind):
    s = Session(TRACES[kind])
    for event in s.trace.events[:200]:
        if event.kind == "vjp":
            s.cursor = event.index
            assert "agree" in said(s, "verify")


def test_a_wrong_vjp_is_found_out():
    import tinygrad_rnn as tg

    @tg.op(lambda g, y, x: 1.01 * g * y)
    def bad_exp(x):
        return np.exp(x)

    with tg.trace() as tr:
        bad_exp(tg.tensor([1.0, 2.0], requires_grad=True)).sum().backward()
    s = Session(tr, len(tr.events) - 2)
    assert "DIFFER" in said(s, "verify")


def test_watch_print_assert_info_list_and_help():
    s = session()
    execute(s, "jump end")
    assert said(s, "print norm(h@1) > 0") == "norm(h@1) > 0 = True"
    assert said(s, "print h@1.shape") == "h@1.shape = (2, 4)"
    assert len(said(s, "print h@1").splitlines()) == 4
    assert "norm(W_hh)" in said(s, "watch norm(W_hh)")
    assert "watch 0: norm(W_hh)" in said(s, "info")
    execute(s, "break nan")
    assert "breakpoint 0: nan" in said(s, "info")
    assert execute(s, "assert norm(h@1) > 0").failed is False
    failed = execute(s, "assert norm(h@1) > 100")
    assert failed.failed
    assert "h@1 = " in failed.answer.lines[1]
    execute(s, "unwatch 0")
    execute(s, "delete 0")
    assert s.watches == []
    assert s.breakpoints == []
    execute(s, "jump 0")
    assert "→" in said(s, "list")
    assert all(command.name in said(s, "help") or command.name == "search" for command in COMMANDS)
    assert "hits=N" in said(s, "help break")
    assert execute(s, "quit").quit


SHADOWED = """
import numpy as np
import tinygrad_rnn as tg

d = tg.tensor(np.full((2, 2), 3.0), requires_grad=True)
G = tg.ops.tanh(d * 0.5)
out = G * 2.0
norm = (out + d).sum()
norm.backward()
"""


def test_names_of_ours_come_before_variables_of_the_user_that_are_called_so(tmp_path):
    path = tmp_path / "script.py"
    path.write_text(SHADOWED, "utf-8")
    s = Session(run_script(path).trace)
    value = lambda line: execute(s, f"print {line}").answer.value
    s.cursor = index_of(s, op="tanh", kind="vjp")
    G, d = s.event.of, s.event.of.inputs[0].inputs[0]
    assert np.array_equal(value("G"), s.event.cotangent)
    assert np.array_equal(value("my.G"), G.data)
    assert np.array_equal(value("out"), s.value)
    assert np.array_equal(value("d"), d.data)
    assert value("norm(d)") == 6.0
    assert value("norm") == value("sum(my.out) + sum(d)")
    execute(s, "jump end")
    assert np.array_equal(value("d.d"), s.queries.gradient(d, s.cursor))
    assert np.array_equal(value("d.G"), s.queries.gradient(G, s.cursor))
    with pytest.raises(TraceError, match=r"\(accumulate\) has no G; your own G is my\.G"):
        value("G")
    execute(s, "next d")
    assert said(s, "last my.G") == ""
    assert s.event.output is G


def test_a_name_not_written_yet_says_when_and_a_watch_shows_that():
    s = session()
    execute(s, "watch d.h@2")
    with pytest.raises(TraceError, match=r"∂L/∂h@2 is first written at event \d+ \(now 0\)"):
        execute(s, "print d.h@2")
    assert "is first written at event" in text(views.watches(s, 100))


def test_commands_may_be_cut_short_while_they_are_clear():
    s = session()
    execute(s, "ste 3")
    assert s.cursor == 3
    with pytest.raises(CommandError, match="'b' may be back, branch, break"):
        execute(s, "b")


@pytest.mark.parametrize(
    ("line", "caret", "message"),
    [
        ("frobnicate", 0, "there is no command"),
        ("step sideways", 5, "one of op, cell"),
        ("step op 3 4", 10, "nothing is expected"),
        ("jump nowhere", 5, "event number"),
        ("jump 99999", 5, "the last event is"),
        ("break bwd opp=tanh", 10, "not a word of a breakpoint"),
        ("break t=4..2", 8, "4..2 is empty"),
        ("break t=x", 8, "whole number"),
        ("break op=", 9, "needs a pattern"),
        ("break fwd if norm(", 17, "never closed"),
        ("break change=h +", 16, "not an expression"),
        ("break change=h + t=1", 18, "not an expression"),
        ("break hits=0", 11, "at least 1"),
        ("print", 5, "missing"),
        ("why h[a]", 4, "a name and perhaps an element"),
        ("diff h 1", 5, "two timesteps"),
        ("delete 7", 7, "no breakpoint 7"),
        ("select x", 7, "an element"),
        ("quit now", 5, "nothing is expected"),
    ],
)
def test_a_wrong_command_is_refused_with_a_caret_at_the_spot(line, caret, message):
    s = session()
    with pytest.raises(CommandError, match=message) as caught:
        execute(s, line)
    assert caught.value.lines()[0] == line
    assert caught.value.lines()[1].index("^") == caret
    assert s.cursor == 0


@given(st.text(max_size=40))
def test_no_line_at_all_does_more_than_raise_our_error(line):
    s = Session(TRACES["RNN"])
    with suppress(TinygradError):
        execute(s, line)


# Stopping


@pytest.mark.parametrize(
    ("line", "holds"),
    [
        ("break fwd op=tanh", lambda e: e.kind == "forward" and e.op == "tanh"),
        ("break bwd op=tan?", lambda e: e.kind in ("vjp", "seed") and e.op == "tanh"),
        ("break acc", lambda e: e.kind in ("accumulate", "zero")),
        ("break upd", lambda e: e.kind == "update"),
        ("break t=1..2", lambda e: e.copy in (1, 2)),
        ("break layer=1 op=tanh", lambda e: e.layer == 1 and e.op == "tanh"),
        ("break in=cells.1", lambda e: e.layer == 1),
        ("break in=RNNCell op=tanh", lambda e: e.op == "tanh"),
        ("break nan", lambda e: False),
    ],
)
def test_breakpoints_stop_exactly_where_they_say(line, holds):
    s = session(layers=2)
    execute(s, line)
    assert s.stops() == [e.index for e in s.trace.events if holds(e)]


def test_breakpoints_on_names_lines_changes_conditions_and_counts():
    s = session(layers=2, passes=2)
    names = lambda: [name_written(s.queries, s.trace.events[i]) for i in s.stops()]
    execute(s, "break fwd name=h t=2")
    assert set(names()) == {"h@2"}
    s.breakpoints.clear()
    execute(s, "break name=d.W_hh*")
    assert set(names()) == {"d.W_hh", "d.W_hh_l1"}
    s.breakpoints.clear()
    execute(s, "break change=norm(W_hh)")
    assert [s.trace.events[i].kind for i in s.stops()] == ["update"] * 2
    s.breakpoints.clear()
    for line in ("break bwd change=norm(d.W_hh) * 2 t=2", "break bwd t=2 change=norm(d.W_hh) * 2"):
        execute(s, line)
        assert {s.trace.events[i].copy for i in s.stops()} == {2}
        s.breakpoints.clear()
    execute(s, "break op=tanh once")
    assert s.stops() == [index_of(s, op="tanh")]
    s.breakpoints.clear()
    execute(s, "break op=tanh fwd hits=3")
    assert len(s.stops()) == 1
    s.breakpoints.clear()
    line = source_of(s.trace.events[5]).line
    execute(s, f"break fwd line=runs.py:{line}")
    assert len(s.stops()) > 10
    s.breakpoints.clear()
    execute(s, "break bwd op=tanh t=1..2 if norm(G) > 0")
    assert {s.trace.events[i].copy for i in s.stops()} == {1, 2}
    with pytest.raises(
        CommandError, match="cannot be evaluated at any event: there is no 'no_such_name'"
    ):
        execute(s, "break fwd if no_such_name > 1")
    assert "16 events match" in said(s, "break bwd t=1 layer=0")
    assert "no event of this run matches" in said(s, "break op=tanh t=99")
    assert "its ops are tanh" in said(s, "break op=tahn")


# Command files


def transcript(lines, **options):
    written = []
    code = run_commands(session(**options), lines, written.append)
    return code, "".join(written)


def test_a_command_file_is_a_transcript_with_an_exit_code():
    code, written = transcript(
        ["# to the first tanh", "", "break op=tanh once", "continue", "assert norm(out) < 9"]
    )
    assert code is Exit.OK
    assert "breakpoint 0: op=tanh once\n1 event matches: " in written
    assert "h@0 = tanh z@0" in written
    assert written.endswith("holds: norm(out) < 9\n")


def test_a_failed_assertion_is_1_and_the_rest_still_runs():
    code, written = transcript(["assert 1 > 2", "print 3"])
    assert code is Exit.ASSERTION_FAILED
    assert written.endswith("3 = 3\n")


def test_a_wrong_line_is_2_and_ends_it():
    code, written = transcript(["assert 1 > 2", "prnt h@", "print 3"])
    assert code is Exit.USAGE
    assert "\n^\n" in written
    assert "3 = 3" not in written
    assert transcript(["quit", "assert 1 > 2"])[0] is Exit.OK


def test_the_prompt_goes_on_after_mistakes_until_quit_or_the_end_of_input():
    lines = iter(["nonsense", "step", "quit", "never read"])
    written = []
    assert run_prompt(session(), lambda prompt: next(lines), written.append) is Exit.OK
    assert next(lines) == "never read"
    assert any("there is no command" in line for line in written)

    def end(prompt):
        raise EOFError

    assert run_prompt(session(), end, written.append, ascii_only=True) is Exit.OK
    assert "".join(written[-5:]).isascii()


def test_nothing_recorded_is_one_clear_error():
    import tinygrad_rnn as tg

    with tg.trace() as tr:
        pass
    with pytest.raises(TraceError, match="nothing was recorded"):
        Session(tr)


def test_the_key_card_has_every_command_key_and_word():
    card = (
        (Path(__file__).parents[2] / "docs" / "13_debugger_key_card.md")
        .read_text("utf-8")
        .replace("\\|", "|")
    )
    for command in COMMANDS:
        row = next(line for line in card.splitlines() if line.startswith(f"| `{command.usage}` |"))
        assert row.endswith(f"| {command.summary} |")
        assert all(f"`{'Enter' if key == 'enter' else key}`" in row for key, _ in command.keys)
    for shown, _, does in views.SCREEN_KEYS:
        assert f"| {' '.join(f'`{key}`' for key in shown.split())} | {does} |" in card
    assert BREAK_HELP in card


# Habits


def test_a_letter_of_pdb_is_told_once():
    s = session()
    first, second = execute(s, "c"), execute(s, "c")
    assert first.note == "`c` is `step cell` here; what pdb does at `c` is `continue`"
    assert second.note == ""
    with pytest.raises(CommandError, match="what pdb does at `p` is `print E`"):
        execute(s, "p norm(h)")


@pytest.mark.parametrize("word", ["r", "return"])
def test_what_pdb_alone_has_is_no_short_word_for_another_command(word):
    s = session()
    with pytest.raises(CommandError, match="there is no `return` as in pdb"):
        execute(s, word)
    assert s.cursor == 0


@pytest.mark.parametrize(("word", "name"), [("pp 1 + 1", "= 2"), ("h step", "step [op")])
def test_words_of_pdb_are_known(word, name):
    assert name in said(session(), word)


@pytest.mark.parametrize("word", ["exit", "q!", ":q", ":q!", "quit"])
def test_every_way_out(word):
    assert execute(session(), word).quit


def test_next_steps_over_the_calls_that_begin():
    s = session(layers=2)
    execute(s, "next")
    while len(s.unfolded_calls()) > 1:
        execute(s, "next")
    before = s.cursor
    events = s.trace.events
    while s.cursor < s.last and phase_of(events[s.cursor + 1]) == "forward":
        execute(s, "next")
    assert s.cursor > before
    assert s.event.op == "cross_entropy"


def test_n_and_N_go_on_with_a_search_while_it_is_open():
    s = session()
    execute(s, "/tanh")
    first = s.cursor
    execute(s, "n")
    second = s.cursor
    assert s.event.op == "tanh"
    assert second > first
    execute(s, "N")
    assert s.cursor == first
    execute(s, "3n")
    execute(s, "3N")
    assert s.cursor == first
    assert "past the start" in said(s, "N")
    execute(s, "jump 3")
    execute(s, "n")
    assert s.cursor == 4
    with pytest.raises(CommandError, match="no search is open"):
        execute(s, "N")


def test_ends_are_told():
    s = session()
    assert said(s, "back") == "the start of the run: no event is before it"
    execute(s, "10G")
    assert s.cursor == 10
    execute(s, "G")
    assert said(s, "n") == "the end of the run: no event follows"
    assert said(s, "next") == "the end of the run: no event follows"
    assert "all are behind: `[`" in said(s, "break op=tanh")
    assert "no breakpoint on the way to the end; 8 events with one lie behind: `[`" in said(s, "]")


def test_axes_are_paged_through():
    s = Session(recorded(), next(e.index for e in recorded().events if e.op == "stack"))
    execute(s, "axis 0 = 3")
    assert s.index[0] == 3
    shown = text(views.result(s, 60, 12))
    assert "[3, 0:2, 0:2]" in shown
    with pytest.raises(CommandError, match="axis 0 has places 0 to 3"):
        execute(s, "axis 0 = +1")
    with pytest.raises(CommandError, match="there is no axis 5"):
        execute(s, "axis 5 = 0")


def test_a_closed_gate_is_saturated():
    z = tg.tensor([-10.0, 0.0, 10.0, 0.0], name="z")
    with tg.trace() as run:
        gate = tg.ops.sigmoid(z)
        part = gate[:2]
        plain = gate * 2.0
    s = Session(run, 0)
    assert execute(s, "print sat(out)").answer.value == 0.5
    assert execute(s, "print sat(gate[0:1])").answer.value == 1
    s.move(1)
    assert execute(s, "print sat(part)").answer.value == 0.5
    assert execute(s, "print sat(A)").answer.value == 0.5
    s.move(2)
    assert execute(s, "print sat(plain)").answer.value == 0.75
    del part, plain


def test_gradients_to_come_are_not_said_to_be_missing():
    s = session()
    assert "not used yet" in said(s, "grads")
    assert "never" not in said(s, "grads")
    s.move(next(e.index for e in s.trace.events if e.kind == "seed"))
    assert "not reached yet" in said(s, "grads")
    execute(s, "G")
    assert "yet" not in said(s, "grads")


# Formulas that name what they mean


def test_an_operand_of_the_results_name_is_called_after_its_event():
    cell, h, cost = tg.nn.RNNCell(1, 2, rng=0), None, 0.0
    with tg.trace() as run:
        for _ in range(3):
            h = cell(np.ones(1), h)
            cost = cost + h.sum()
        cost.backward()
    sums = [e for e in run.events if e.kind == "forward" and e.op == "add" and not e.value.shape]
    s, before = Session(run, sums[2].index), sums[1].index
    assert f"cost = cost#{before} + sum#" in execute(s, "why").answer.lines[0]
    assert execute(s, f"print cost#{before}").answer.value == sums[1].value
    assert execute(s, "print cost").answer.value == sums[2].value
    back = next(e for e in run.events if e.kind == "vjp" and e.of is sums[2].output)
    s.move(back.index)
    assert execute(s, "why").answer.name == f"∂L/∂cost#{before}"
    with pytest.raises(TraceError, match="no 'cost#2' in this run"):
        execute(s, "print cost#2")


def reasons(make, *values):
    """What is said of each element of the gradients of `make`'s operands."""
    xs = [tg.tensor(value, requires_grad=True) for value in values]
    with tg.trace() as run:
        make(*xs).sum().backward()
    s = Session(run)
    found = []
    for event in run.events:
        if event.kind == "vjp" and event.of.op != "sum":
            s.move(event.index)
            found += [execute(s, f"why out[{i}]").answer.lines[-1] for i in range(len(xs[0]))]
    return found


@pytest.mark.parametrize(
    ("make", "values", "zero"),
    [
        (tg.ops.relu, ([1.0, -1.0],), "0 since its input is not above 0: the rectifier is closed"),
        (tg.ops.maximum, ([1.0, 2.0], [0.0, 3.0]), "0 since B is larger than A"),
        (tg.ops.minimum, ([1.0, 2.0], [2.0, 1.0]), "0 since B is smaller than A"),
        (tg.ops.max, ([2.0, 1.0],), "0 since another element is the largest"),
        (lambda x: x[:1], ([2.0, 1.0],), "0 since no element of the result was made from it"),
        (
            lambda a, b: tg.ops.where([True, False], a, b),
            ([1.0, 1.0], [1.0, 1.0]),
            "0 since the condition chose the other operand",
        ),
    ],
)
def test_the_backward_pass_says_why_a_gradient_is_0(make, values, zero):
    found = reasons(make, *values)
    assert "= +1" in found[0]
    assert found[1] == zero


def test_what_is_stacked_was_not_broadcast():
    found = reasons(lambda a, b: tg.ops.stack([a, b]), [1.0, 2.0], [3.0, 4.0])
    assert all(line.endswith(" = +1") for line in found)


def test_the_states_of_a_second_chain_are_called_as_in_the_picture():
    """One cell reads two sequences, and counts the steps of each."""
    cell, ends = tg.nn.RNNCell(2, 3, rng=0), []
    with tg.trace() as tr:
        for steps in (3, 2):
            h = tg.tensor(np.zeros(3))
            for x in np.eye(steps, 2):
                h = cell(x, h)
            ends.append(h)
        (ends[0] * ends[1]).sum().backward()
    s = Session(tr, len(tr.events) - 1)
    svg = tg.draw(tr).svg
    assert ">h₂<" in svg
    assert ">h′₁<" in svg
    for name, end in zip(("h@2", "h′@1"), ends, strict=True):
        assert np.array_equal(execute(s, f"print {name} * 1").answer.value, end.data)
    with pytest.raises(TraceError, match="no h@3: only h@-1 to h@2"):
        execute(s, "print h@3")
