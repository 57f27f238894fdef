"""The debugger's screen, in Textual. It holds focus and offsets alone; the session holds the rest.

Each pane draws lines that `views` made (the line API), so that a step costs the lines in sight,
however long the run.
"""

import asyncio
import signal
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual import events
from textual.app import App, ComposeResult, SystemCommand
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.screen import Screen
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Input

from ..errors import TinygradError
from . import views
from .commands import COMMANDS, Reply, execute
from .session import Session

TREE_WIDTH, SIDE_WIDTH = 32, 36
_SLIM_TREE_WIDTH = 28  # where there is no room for the right pane either
_TREE_FROM = 64  # columns; a narrower terminal shows the step alone
_EXTRAS_FROM = 16  # rows; a lower terminal has no timeline and no key hints
_MOST_DIGITS = 4


class Pane(Widget):
    """Lines of text, drawn as they are.

    Args:
        id: its name.
        redraw: makes new lines, for a size that it has just been given.
    """

    DEFAULT_CSS = "Pane { height: 1fr; }"

    def __init__(self, id: str, redraw: Callable[[], None]) -> None:
        super().__init__(id=id)
        self._lines: views.Lines = []
        self._base = Style()
        self._redraw = redraw

    def on_resize(self, event: events.Resize) -> None:
        self._redraw()

    def show(self, lines: views.Lines) -> None:
        """Draw these lines from now on."""
        self._lines = lines
        self._base = self.rich_style  # asks every ancestor, so once for all lines
        self.refresh()

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        if y >= len(self._lines):
            return Strip.blank(width, self._base)
        line, console = self._lines[y], self.app.console
        # The style of a whole line is in none of its segments; one without any would crash where
        # NO_COLOR is set.
        base = self._base + console.get_style(line.style)
        pieces = [
            Segment(s.text, base + (s.style or Style())) for s in line.render(console) if s.text
        ]
        return Strip(pieces).adjust_cell_length(width, self._base)


class CommandLine(Input):
    """The `:` line, with the commands given before it on the arrow keys.

    Args:
        run: carries out a command.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "recall(-1)", show=False),
        Binding("down", "recall(1)", show=False),
        Binding("escape", "leave", show=False),
    ]

    def __init__(self, run: Callable[[str], None]) -> None:
        super().__init__(
            id="command", compact=True, select_on_focus=False, placeholder=": a command   / search"
        )
        self.given: list[str] = []
        self._at = 0
        self._run = run

    async def take(self, event: events.Key | events.Paste) -> bool:
        """Act on a key or on pasted text at once; returns whether it was for this line.

        Through its own queue, Enter would reach this line after the next key had reached the app.
        """
        if isinstance(event, events.Paste):
            await self._take_lines(event.text)
        elif event.is_printable and event.character is not None:
            self._insert(event.character)
        elif event.key in _EDITING:
            await self.run_action(_EDITING[event.key])
        else:
            return False
        return True

    async def _take_lines(self, text: str) -> None:
        """Run each of several pasted lines as a command; a single line waits for Enter."""
        lines = text.splitlines()
        if len(lines) == 1:
            self._insert(lines[0])
            return
        for line in lines:
            self._insert(line)
            if self.value.strip():
                await self.action_submit()

    def _insert(self, text: str) -> None:
        if self.selection.is_empty:
            self.insert_text_at_cursor(text)
        else:
            self.replace(text, *self.selection)

    def action_recall(self, way: int) -> None:
        self._at = min(max(self._at + way, 0), len(self.given))
        self.value = self.given[self._at] if self._at < len(self.given) else ""
        self.cursor_position = len(self.value)

    def action_leave(self) -> None:
        self.value = ""
        self.screen.set_focus(None)

    async def action_submit(self) -> None:
        line = self.value
        if line and self.given[-1:] != [line]:
            self.given.append(line)
        self._at = len(self.given)
        self.action_leave()
        self._run(line)


def _editing(bindings: Iterable[BindingType]) -> Iterable[tuple[str, str]]:
    for binding in bindings:
        if isinstance(binding, Binding):
            yield from ((key, binding.action) for key in binding.key.split(","))


# What keys do in the command line. Ctrl-C leaves, there as everywhere.
_EDITING = dict(_editing([*Input.BINDINGS, *CommandLine.BINDINGS]))
del _EDITING["ctrl+c"]


# Each key with the line that it stands for; the one of `search` opens the command line instead.
_KEYS = [
    (key, line, command.summary)
    for command in COMMANDS
    for key, line in command.keys
    if command.name != "search"
]


class Debugger(App[int]):
    """The app over one session."""

    TITLE = "tinygrad_rnn debugger"
    ENABLE_COMMAND_PALETTE = True
    AUTO_FOCUS = None  # keys are commands until ":" says otherwise
    CSS = f"""
    Screen {{ layers: base; background: $background; }}
    #panes {{ height: 1fr; }}
    #tree {{ width: {TREE_WIDTH}; border: round $primary-darken-2; border-title-color: $text; }}
    #step {{ width: 1fr; border: round $primary; border-title-color: $text; }}
    #side {{ width: {SIDE_WIDTH}; border: round $primary-darken-2; border-title-color: $text; }}
    .low #tree, .low #step, .low #side {{ border: none; }}
    #status, #timeline, #message, #keys {{ height: 1; }}
    #message {{ color: $warning; }}
    #command {{ height: 1; border: none; padding: 0 1; }}
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        *(Binding(key, f"run({line!r})", summary, show=False) for key, line, summary in _KEYS),
        # With priority, and the focus moved at once: the command line must get what is typed ahead.
        Binding("colon", "command('')", "a command", show=False, priority=True),
        Binding("slash", "command('/')", "search", show=False, priority=True),
        Binding("ctrl+c", "quit", "leave", show=False, priority=True),
        Binding("ctrl+z", "suspend_process", "suspend, as other programs", show=False),
        Binding("escape", "close", "close the answer, end the search", show=False),
        Binding("N", "run('N')", "the match before, while a search is open", show=False),
        Binding("left_curly_bracket", "page(-1)", "the page before, of three axes", show=False),
        Binding("right_curly_bracket", "page(1)", "the next page of three axes", show=False),
        Binding("m", "zoom", "the matrix or the answer alone, on the whole screen", show=False),
        Binding("up", "select(-1, 0)", "select the element above", show=False),
        Binding("down", "select(1, 0)", "select the element below", show=False),
        Binding("left", "select(0, -1)", "select the element to the left", show=False),
        Binding("right", "select(0, 1)", "select the element to the right", show=False),
        Binding("home", "run('jump start')", "the start", show=False),
        Binding("end", "run('jump end')", "the end", show=False),
        Binding("pageup", "scroll_lines(-10)", "scroll up", show=False),
        Binding("pagedown", "scroll_lines(10)", "scroll down", show=False),
    ]

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self._tree = views.Tree(session)
        self._folded = frozenset(session.folded)
        # Where the mouse scrolled the tree to; None: around the cursor.
        self._tree_top: int | None = None
        # Draws the last answer for a width; and the lines it drew, for all that they depend on.
        self._draw_answer: Callable[[int], Sequence[Text]] = lambda width: []
        self._drawn_for: object = None
        # An answer of several lines is shown over the step, scrolled so far; a short one below it.
        self.answer: Sequence[Text] = []
        self._offset = 0
        self.message = Text()
        # The digits before a motion.
        self._count = ""
        self._zoomed = False
        self._is_due = False  # whether everything is about to be drawn
        self.was_told_to_end = False

    def compose(self) -> ComposeResult:
        with Horizontal(id="panes"):
            yield Pane("tree", self.show_soon)
            yield Pane("step", self.show_soon)
            yield Pane("side", self.show_soon)
        yield Pane("status", self.show_soon)
        yield Pane("timeline", self.show_soon)
        yield Pane("message", self.show_soon)
        yield CommandLine(self.execute)
        yield Pane("keys", self.show_soon)

    def on_mount(self) -> None:
        self.pane("tree").border_title = "Events"
        self._end_when_told()
        # After Ctrl-Z and fg; a line that did not change would stay blank.
        self.app_resume_signal.subscribe(self, self._draw_anew)
        self.call_after_refresh(self.show_soon)

    def _draw_anew(self, _: object) -> None:
        for widget in self.screen.walk_children():
            widget.refresh()

    def _end_when_told(self) -> None:
        """On a signal that ends the process, close the screen first: that restores the terminal."""
        # Windows has no such handlers; a thread that is not the main one may set none.
        with suppress(NotImplementedError, RuntimeError, ValueError):
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self._end)

    def _end(self) -> None:
        self.was_told_to_end = True
        self.exit()

    def pane(self, name: str) -> Pane:
        return self.query_one(f"#{name}", Pane)

    # Drawing

    def on_resize(self, event: events.Resize) -> None:
        width, height = event.size
        self._place(width, height)
        self.call_after_refresh(self.show_soon)

    def _place(self, width: int, height: int) -> None:
        """Show the panes that there is room for."""
        self.pane("side").display = width >= views.NARROW and not self._zoomed
        self.pane("tree").display = width >= _TREE_FROM and not self._zoomed
        self.pane("tree").styles.width = TREE_WIDTH if width >= views.NARROW else _SLIM_TREE_WIDTH
        for name in ("timeline", "keys"):
            self.pane(name).display = height >= _EXTRAS_FROM
        self.set_class(height < _EXTRAS_FROM, "low")

    def show_soon(self) -> None:
        """Draw everything once, however many panes have just been given a size."""
        if not self._is_due:
            self._is_due = True
            self.call_later(self.show)

    def show(self) -> None:
        """Draw everything for where the session is."""
        session, self._is_due = self.session, False
        if frozenset(session.folded) != self._folded:
            self._folded, self._tree = frozenset(session.folded), views.Tree(session)
        self._show_step()
        tree, side = self.pane("tree"), self.pane("side")
        if tree.display:
            tree.show(self._tree.lines(self._top_of_tree(), tree.size.width, tree.size.height))
        if side.display:
            side.border_title = "So far"
            side.show(views.side(session, side.size.width, side.size.height))
        width = self.size.width
        self.pane("status").show([views.status(session, width)])
        self.pane("timeline").show([views.timeline(session, width)])
        self.pane("message").show([self.message])
        self.pane("keys").show([views.key_hints(width)])

    def _top_of_tree(self) -> int:
        height = self.pane("tree").size.height
        top = self._tree_top
        if top is None:
            top = self._tree.position(self.session.cursor) - height // 2
        return self._tree.top(top, height)

    def _show_step(self) -> None:
        pane, session = self.pane("step"), self.session
        width, height = pane.size
        self._read_answer(width)
        if self.answer:
            first, count = self._offset, len(self.answer)
            self._offset = first = min(first, max(count - height, 0))
            pane.border_title = "Answer (Esc closes)"
            if height < count:
                last = min(first + height, count)
                pane.border_title = f"Answer {first + 1}–{last} of {count} (PgDn, Esc closes)"
            pane.show(list(self.answer[first : first + height]))
        elif self._zoomed:
            pane.border_title = "Result (m: back)"
            pane.show(views.result(session, width, height))
        else:
            pane.border_title = "Step"
            pane.show(views.step(session, width, height))

    # Commands

    async def on_event(self, event: events.Event) -> None:
        """What is typed or pasted goes to the command line first, if that has the focus."""
        if isinstance(event, events.Key | events.Paste) and not event.is_forwarded:
            line = self.focused
            if isinstance(line, CommandLine) and await line.take(event):
                return
        await super().on_event(event)

    def execute(self, line: str) -> None:
        """Run one command, and show its answer."""
        try:
            reply = execute(self.session, line)
        except TinygradError as error:
            refused = error
            self._say(lambda width: views.failure(refused, width))
        else:
            if reply.quit:
                self.exit(0)
                return
            if reply.moved:
                self._tree_top = None
            self._say(lambda width: _with_note(self.session, reply, width))
        self.show()

    def _say(self, draw: Callable[[int], Sequence[Text]]) -> None:
        """A short answer goes below, a longer one over the step, until the next."""
        self._offset = 0
        self._draw_answer, self._drawn_for = draw, None

    def _read_answer(self, width: int) -> None:
        depends_on = width, self.session.cursor, self.session.index, self.session.trace
        if depends_on == self._drawn_for:
            return
        lines, self._drawn_for = self._draw_answer(max(width, 1)), depends_on
        self.answer, self.message = lines, Text("Esc closes the answer")
        if len(lines) <= 1:
            self.answer, self.message = [], lines[0] if lines else Text()

    def on_key(self, event: events.Key) -> None:
        """Digits are the count of the motion that follows."""
        if event.character is None or not event.character.isdecimal() or self.focused is not None:
            return
        self._count = (self._count + event.character)[-_MOST_DIGITS:]
        self.message = Text(self._count)
        self.pane("message").show([self.message])

    def action_run(self, line: str) -> None:
        """Run the command line that a key stands for."""
        count, self._count = self._count, ""
        if line == "step" and self.session.is_searching:
            line = "n"
        if line in ("n", "N"):
            line = count + line
        elif count:
            line = "jump" if line.startswith("jump ") else line
            line = f"{line} {count}"
        self.execute(line)

    def action_page(self, by: int) -> None:
        """Turn to another matrix of an array that has more than two axes."""
        value = self.session.value
        if value is not None and value.ndim > 2:
            self.execute(f"axis 0 = {by:+d}")

    def action_command(self, start: str) -> None:
        line = self.query_one(CommandLine)
        self.screen.set_focus(line)
        line.value = start
        line.cursor_position = len(start)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """In the command line a colon and a slash are themselves."""
        return not (action == "command" and isinstance(self.focused, CommandLine))

    def action_close(self) -> None:
        self.session.is_searching, self._count = False, ""
        self._say(lambda width: [])
        self.show()

    def action_zoom(self) -> None:
        self._zoomed = not self._zoomed
        self._place(*self.size)
        self.call_after_refresh(self.show_soon)

    def action_select(self, rows: int, columns: int) -> None:
        value = self.session.value
        if value is None or not value.ndim:
            return
        index = list(self.session.selected(value.shape))
        for axis, by in ((-1, columns), (-2, rows)):
            if len(index) >= -axis:
                index[axis] = min(max(index[axis] + by, 0), value.shape[axis] - 1)
        self.session.index = tuple(index)
        self.show()

    def action_scroll_lines(self, by: int) -> None:
        if self.answer:
            self._offset = max(self._offset + by, 0)
        else:
            self._tree_top = self._top_of_tree() + by
        self.show()

    # The mouse

    def on_click(self, event: events.Click) -> None:
        if not isinstance(event.widget, Pane):
            return
        offset = event.get_content_offset(event.widget)
        if offset is None:
            return
        if event.widget.id == "timeline":
            to = views.timeline_event(self.session, offset.x, event.widget.size.width)
            self.execute(f"jump {to}")
        elif event.widget.id == "tree":
            row = self._tree.row(self._top_of_tree() + offset.y)
            if row is not None:
                self._tree_top = self._top_of_tree()
                self.session.move(row.event)
                self._say(lambda width: [])
                self.show()

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        self.action_scroll_lines(-3)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        self.action_scroll_lines(3)

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """What the command palette offers: the commands that need no argument."""
        for key, line, summary in _KEYS:
            run = partial(self.action_run, line)
            yield SystemCommand(line, f"{summary} ({key})", run)


def _with_note(session: Session, reply: Reply, width: int) -> Sequence[Text]:
    """The answer to a command, and what else there is to say."""
    lines = views.answer(session, reply.answer, width)
    return [*lines, *views.remark(reply.note, width)] if reply.note else lines


def run_app(session: Session) -> int:
    """Open the screen until the user leaves it; returns 0, or 1 if it failed and said so."""
    app, before = Debugger(session), signal.getsignal(signal.SIGTERM)
    try:
        app.run()
    finally:
        # A thread that is not the main one may set no handler, nor one that Python did not set.
        with suppress(ValueError, TypeError):
            signal.signal(signal.SIGTERM, before)
    if app.was_told_to_end:
        signal.raise_signal(signal.SIGTERM)
    return app.return_code or 0
