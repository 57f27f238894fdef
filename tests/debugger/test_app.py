"""The screen, driven by keys and mouse; what it draws and knows are the views' and session's."""

import pytest
from debugger.runs import recorded, session
from textual import events
from textual.widgets import OptionList

import tinygrad_rnn as tg
from tinygrad_rnn.debugger import views
from tinygrad_rnn.debugger.app import CommandLine, Debugger
from tinygrad_rnn.debugger.commands import COMMANDS, execute
from tinygrad_rnn.debugger.session import Session
from tinygrad_rnn.errors import TraceError

WIDE, SMALL = (140, 30), (80, 24)


def drive(presses, *, size=WIDE, start=0, **options):
    """Run the app, press keys, and give it back with what its panes showed."""
    import asyncio

    app = Debugger(session(**options))
    app.session.cursor = start

    async def run():
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            for press in presses:
                if callable(press):
                    await press(pilot)
                else:
                    await pilot.press(press)
            await pilot.pause()
            app.seen = {pane.id: shown(pane) for pane in app.query("Pane") if pane.display}

    asyncio.run(run())
    return app


def shown(pane):
    return "\n".join(
        "".join(s.text for s in pane.render_line(y)).rstrip() for y in range(pane.size.height)
    )


def typed(text):
    return [{":": "colon", " ": "space", "/": "slash", "\n": "enter"}.get(c, c) for c in text]


def after(line, start=0, **options):
    s = session(**options)
    s.cursor = start
    execute(s, line)
    return s.cursor


MOVES = [(key, line) for c in COMMANDS for key, line in c.keys if line.split()[0] in
         ("step", "back", "jump", "flip", "last", "next", "continue", "rcontinue")]  # fmt: skip


def test_a_key_that_moves_is_its_command():
    went = []

    async def each(pilot):
        for key, _ in MOVES:
            pilot.app.session.cursor = 9
            await pilot.press(key)
            went.append(pilot.app.session.cursor)

    drive([each])
    assert went == [after(line, start=9) for _, line in MOVES]
    assert len(set(went)) > 5


def test_a_key_that_asks_shows_the_answer_until_escape():
    seen = {}

    async def each(pilot):
        app = pilot.app
        for key, start in (("w", 8), ("o", 8), ("?", 8), ("d", len(app.session.trace.events) - 1)):
            app.session.cursor = start
            await pilot.press(key)
            await pilot.pause()
            seen[key] = shown(app.query_one("#step"))
            await pilot.press("escape")
        await pilot.pause()
        seen["escape"] = shown(app.query_one("#step"))

    drive([each])
    assert "y = tanh x" in seen["w"]
    assert "← z@0[0,0]" in seen["o"]
    assert "Every key stands for a command" in seen["?"]
    assert "one row for each use" in seen["d"]
    assert "Answer" not in seen["escape"]
    assert "· update" in seen["escape"]


def test_diff_and_verify_by_key():
    s = session()
    at = next(e.index for e in s.trace.events if e.op == "tanh" and e.copy == 2)
    assert "h@1 and h@2: norms" in drive(["D"], start=at).seen["step"]
    seen = drive(["v"], start=at).seen
    assert "central difference agree" in seen["step"] + seen["message"]


def test_out_and_into_by_key_fold_and_unfold():
    folded = drive(["u"], start=5)
    assert "(5 events)" in folded.seen["tree"]
    assert folded.session.cursor == 8
    assert not drive(["u", "enter"], start=5).session.folded


def test_every_key_of_the_screen_is_bound():
    bound = set()

    async def look(pilot):
        bound.update(pilot.app.active_bindings)

    drive([look])
    assert {key for _, keys, _ in views.SCREEN_KEYS for key in keys} <= bound


def test_what_is_typed_ahead_reaches_the_command_line():
    assert drive(typed(":jump 8\nn")).session.cursor == 9


def test_a_colon_and_a_slash_in_the_command_line_are_themselves():
    app = drive(typed(":b line=r.py:3\n/tanh\n")[:1] + typed("break line=r.py:3\n/tanh\n"))
    assert [b.text for b in app.session.breakpoints] == ["line=r.py:3"]
    assert app.session.event.op == "tanh"


def test_commands_given_before_come_back_and_escape_leaves_the_line():
    app = drive(
        [
            *typed(":j 8\n"),
            *typed(":j 3\n"),
            "colon",
            "up",
            "up",
            "enter",
            *typed(":j 4"),
            "escape",
            "n",
        ]
    )
    assert app.session.cursor == 9


def test_a_mistake_is_shown_with_its_caret():
    app = drive(typed(":break if norm(\n"))
    assert "break if norm(" in app.seen["step"]
    assert "^" in app.seen["step"]
    assert app.session.cursor == 0


def palette(wanted):
    """Ask the command palette for something, and take the first that it offers."""

    async def ask(pilot):
        await pilot.press("ctrl+p")
        await pilot.pause()
        await pilot.press(*typed(wanted))
        offered = pilot.app.screen.query_one(OptionList)
        for _ in range(100):
            if offered.option_count and wanted in str(offered.get_option_at_index(0).prompt):
                break
            await pilot.pause(0.05)
        await pilot.press("enter")
        for _ in range(100):
            if len(pilot.app.screen_stack) == 1:
                break
            await pilot.pause(0.05)
        await pilot.pause()

    return ask


@pytest.mark.rest
def test_the_command_palette_finds_commands_by_name_and_carries_them_out():
    async def cell(pilot):
        await palette("step cell")(pilot)
        assert pilot.app.session.cursor == after("step cell", start=9)

    async def why(pilot):
        pilot.app.session.cursor = 8
        await palette("why")(pilot)
        assert "y = tanh x" in shown(pilot.app.query_one("#step"))

    app = drive([cell, why, "escape", "p"], start=9)
    assert app.session.cursor == 7


def test_the_command_palette_offers_every_command_that_needs_no_argument():
    app = Debugger(session())
    offered = {command.title for command in app.get_system_commands(app)}
    assert offered == {line for c in COMMANDS for _, line in c.keys if c.name != "search"}


def test_q_and_ctrl_c_leave():
    assert drive(["q"]).return_value == 0
    assert not drive(["ctrl+c"]).is_running


def test_arrows_select_the_element_that_formulas_are_shown_for():
    app = drive(["right", "right", "right", "left", "down", "up", "down"], start=8)
    assert "h@0[1,2] = tanh" in app.seen["step"]


def test_the_mouse_goes_to_an_event_in_the_timeline_and_in_the_tree():
    async def timeline(pilot):
        await pilot.click("#timeline", offset=(70, 0))
        assert pilot.app.session.cursor == 70 * len(pilot.app.session.trace.events) // 140
        pilot.app.session.cursor = 0

    async def tree(pilot):
        await pilot.click("#tree", offset=(5, 7))

    assert drive([timeline, tree]).session.cursor > 0


def test_a_long_answer_and_the_tree_scroll():
    app = drive(["question_mark", "pagedown"], size=(80, 20))
    assert "Every key" not in app.seen["step"]
    trees = []

    async def look(pilot):
        await pilot.pause()
        trees.append(shown(pilot.app.query_one("#tree")))

    drive([look, "pagedown", look, "n", look, "p", "n", look])
    assert trees[0] != trees[1]
    assert trees[2] == trees[3]


def test_the_style_of_a_whole_line_is_drawn():
    drawn = {}

    async def look(pilot):
        drawn["step"] = list(pilot.app.query_one("#step").render_line(0))

    app = drive([look], start=8)
    assert app.session.event.op == "tanh"
    assert any("#8" in s.text and s.style.bold for s in drawn["step"])


def test_an_answer_is_drawn_anew_for_another_width():
    narrow = []

    async def look(pilot):
        await pilot.pause()
        narrow.append(shown(pilot.app.query_one("#step")))

    wide = drive(["?", look, "m"]).seen["step"]
    assert "forward to the end of the next event, cell, timestep …" in wide
    assert len(wide.split("\n")[5]) > len(narrow[0].split("\n")[5])


def test_m_is_the_matrix_alone():
    async def alone(pilot):
        await pilot.pause()
        assert not pilot.app.query_one("#tree").display
        assert not pilot.app.query_one("#side").display
        assert "h@0 (2, 4)" in shown(pilot.app.query_one("#step"))

    assert "tree" in drive(["m", alone, "m"], start=8).seen


FEWEST = {"step", "status", "message"}
FEW = FEWEST | {"tree", "timeline", "keys"}


def test_there_are_as_many_panes_as_there_is_room_for():
    found = {}

    async def resized(pilot):
        for size in (SMALL, (60, 20), (40, 10), (20, 6), WIDE):
            await pilot.resize_terminal(*size)
            await pilot.press("n")
            await pilot.pause()
            panes = [pane for pane in pilot.app.query("Pane") if pane.display]
            found[size] = {pane.id for pane in panes}
            lines = "\n".join(map(shown, panes)).split("\n")
            assert all(len(line) <= size[0] for line in lines)

    drive([resized])
    assert found.pop((60, 20)) & {"tree", "side"} == set()
    assert found == {SMALL: FEW, (40, 10): FEWEST, (20, 6): FEWEST, WIDE: FEW | {"side"}}


def test_without_colours_nothing_breaks(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    app = drive(["n", "d", "escape", "o", "?", "escape", "m"])
    assert app.session.cursor == 1


def test_names_and_output_of_the_program_cannot_act_on_the_terminal():
    with tg.trace() as tr:
        x = tg.tensor(1.0, requires_grad=True, name="\x1b[2Jx")
        (x * 2.0).backward()
    tr.printed[0] = "\x1b]0;title\x07\r\x9b31m"
    import asyncio

    app = Debugger(Session(tr))

    async def run():
        async with app.run_test(size=WIDE) as pilot:
            await pilot.pause()
            return "".join(shown(pane) for pane in app.query("Pane"))

    seen = asyncio.run(run())
    assert "␛[2Jx" in seen
    assert not {"\x1b", "\x07", "\r", "\x9b"} & set(seen)


class Watched(list):
    """A list that counts how many of its elements were looked at."""

    touched = 0

    def __getitem__(self, at):
        self.touched += len(range(*at.indices(len(self)))) if isinstance(at, slice) else 1
        return super().__getitem__(at)

    def __iter__(self):
        for element in super().__iter__():
            self.touched += 1
            yield element


@pytest.mark.rest
def test_what_a_key_looks_at_and_draws_does_not_grow_with_the_run(monkeypatch):
    keys = ["n", "p", "c", "C", "t", "T", "w", "o", "v", "D", "<", ">", "down", "pageup", "m"]
    touched, drawn = {}, []
    draw = views.tree.pieces
    monkeypatch.setattr(views.tree, "pieces", lambda *row: drawn.append(row) or draw(*row))

    async def press_each(pilot):
        app = pilot.app
        events = Watched(app.session.trace.events)
        with monkeypatch.context() as patch:
            patch.setattr(type(app.session.trace), "events", events)
            for key in keys:
                app.execute("jump start")
                app.execute("next h@5")
                await pilot.pause()
                events.touched = 0
                drawn.clear()
                await pilot.press(key)
                await pilot.pause()
                touched.setdefault(key, []).append(events.touched)
                assert len(drawn) <= 2 * app.pane("tree").size.height

    for steps in (12, 48):
        drive([press_each], size=SMALL, steps=steps)
    assert {
        key: counts
        for key, counts in touched.items()
        if counts[1] > counts[0] + 8 or counts[0] > 500
    } == {}


@pytest.mark.rest
def test_a_ledger_draws_the_rows_in_sight_alone(monkeypatch):
    drawn = []
    make = views.answers.pieces
    monkeypatch.setattr(views.answers, "pieces", lambda *line: drawn.append(line) or make(*line))
    app = drive(["G", "d", "pagedown", "pagedown"], steps=200)
    assert "∂L/∂" in str(app.answer[0])
    assert len(app.answer) > 200
    assert len(drawn) < 150


def test_tr_debug_opens_it_on_the_run(monkeypatch):
    opened = []
    monkeypatch.setattr("tinygrad_rnn.debugger.start.has_screen", lambda: True)
    monkeypatch.setattr("tinygrad_rnn.debugger.app.run_app", opened.append)
    tr = recorded()
    tr.debug()
    assert opened[0].trace is tr
    with tg.trace():
        tg.tensor(1.0) * 2.0
        tg.tensor(1.0) + 2.0
        tg.breakpoint()
    assert opened[1].event.op == "add"
    with pytest.raises(TraceError, match="no trace is open"):
        tg.breakpoint()


def test_three_lines_pasted_are_three_commands():
    given = []

    async def paste(pilot):
        pilot.app.post_message(events.Paste("jump 5\nbreak op=tanh\nstep 2\n"))
        await pilot.pause()
        given.extend(pilot.app.query_one(CommandLine).given)

    app = drive(["colon", paste])
    assert app.session.cursor == 7
    assert len(app.session.breakpoints) == 1
    assert given == ["jump 5", "break op=tanh", "step 2"]


@pytest.mark.rest
def test_a_count_repeats_a_motion_and_n_a_search_while_it_is_open():
    assert drive(["1", "0", "n"]).session.cursor == 10
    assert drive(["7", "G"]).session.cursor == 7
    first = drive(typed("/tanh\n")).session.cursor
    assert drive([*typed("/tanh\n"), "n", "N"]).session.cursor == first
    assert drive([*typed("/tanh\n"), "escape", "n"]).session.cursor == first + 1


def test_pages_of_an_array_are_turned_by_braces():
    at = next(e.index for e in recorded().events if e.op == "stack")
    app = drive(["right_curly_bracket", "right_curly_bracket", "left_curly_bracket"], start=at)
    assert app.session.index[0] == 1
    assert "[1, 0:2, 0:2]" in app.seen["step"]
