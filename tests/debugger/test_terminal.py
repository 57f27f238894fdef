"""The debugger in a real terminal: what it draws and takes, and that it leaves all as it was.

Each starts a process. What is marked rest is run by `.ci/run`.
"""

import html
import re
import runpy
import signal
import sys
from collections import defaultdict
from pathlib import Path

import pytest
from debugger.runs import TRAINING
from debugger.terminal import Terminal
from test_docs import blocks

import tinygrad_rnn as tg
from tinygrad_rnn.debugger.picture import picture

_HUES = re.compile(
    rb"\x1b\[[\d;]*?\b(?:3[1-6]|4[1-6]|[34]8;2;(\d+);(?!\1;\1)\d+;\d+|[34]8;5;(?!2[3-5]\d|16|231)\d+)\b"
)


def test_commands_typed_ahead_keys_the_mouse_and_leaving(script):
    with Terminal.debugger(script(TRAINING)) as terminal:
        terminal.until("event 0/26")
        assert terminal.has_screen
        assert _HUES.search(terminal.written)
        row = next(i for i, line in enumerate(terminal.screen.display, 1) if line.startswith("█"))
        for end in "Mm":  # pressed, and let go of
            terminal.type(f"\x1b[<0;61;{row}{end}")
        terminal.until(f"event {60 * 27 // 100}/26")
        terminal.type(":jump 4\rn")
        terminal.until("event 5/26")
        assert "∂L/∂w[0] = +1 · +1" in terminal.text
        terminal.type("q")
        assert terminal.ends() == 0
        assert terminal.is_restored


def words_of(svg):
    """The words in each row of a screen that was drawn."""
    rows = defaultdict(str)
    for x, row, text in re.findall(
        r'<text[^>]* x="([^"]*)"[^>]*-line-(\d+)\)">([^<]*)</text>', svg
    ):
        rows[int(row)] = rows[int(row)].ljust(round(float(x) / 12.2)) + html.unescape(text)
    return [rows[row].split() for row in range(27)]


@pytest.mark.rest
def test_the_screen_in_the_docs_is_the_screen(script):
    page = (Path(__file__).parents[2] / "docs" / "12_debugging_an_exploding_network.md").read_text(
        "utf-8"
    )
    program = next(block.text for block in blocks(page) if block.file_name == "exploding.py")
    line = "break bwd name=d.h* if norm(out) > 1e4"
    assert line in page
    with tg.trace() as run:
        runpy.run_path(str(script(program)))
    drawn = words_of(picture(run, [line, "continue"], rows=27).svg)
    with Terminal.debugger(script(program), columns=96, rows=27) as terminal:
        terminal.until("event 0/700")
        terminal.type(f":{line}\r]")
        terminal.until("event 357/700")
        assert [text.split() for text in terminal.screen.display] == drawn


@pytest.mark.rest
def test_ctrl_z_gives_the_shell_back_and_fg_the_screen(script):
    with Terminal("bash", "--norc", "-i", PS1="shell$ ", columns=90, rows=24) as terminal:
        terminal.until("shell$")
        terminal.type(f"{sys.executable} -m tinygrad_rnn debug {script(TRAINING)}\n")
        terminal.until(": a command   / search")
        terminal.type("n\x1a")
        terminal.until("Stopped")
        assert not terminal.has_screen
        terminal.type("clear\n")
        terminal.until("shell$", gone="a command")
        terminal.type("fg\n")
        terminal.until("event 1/26", gone="shell$")
        terminal.until(": a command   / search")
        terminal.type("n")
        terminal.until("event 2/26")
        terminal.type("q")
        terminal.until("shell$")
        terminal.type("exit\n")
        assert terminal.ends() == 0


@pytest.mark.rest
def test_it_fits_terminals_of_every_size(script):
    with Terminal.debugger(script(TRAINING), columns=20, rows=6) as terminal:
        terminal.until("event 0/26")
        for at, size in enumerate([(140, 45), (40, 10), (80, 24), (20, 6)], 1):
            terminal.resize(*size)
            terminal.type("n")
            if size >= (80, 24):
                terminal.until("Events")
            else:
                terminal.until(f"event {at}/26", gone="Events")
            terminal.until(f"#{at} · ")
        terminal.type("q")
        assert terminal.ends() == 0
        assert terminal.is_restored


@pytest.mark.rest
def test_being_killed_leaves_the_terminal_as_it_was(script):
    with Terminal.debugger(script(TRAINING)) as terminal:
        terminal.until("event 0/26")
        terminal.signal(signal.SIGTERM)
        assert terminal.ends() == -signal.SIGTERM
        assert terminal.is_restored
        assert b"Traceback" not in terminal.written


@pytest.mark.rest
def test_it_ends_with_its_terminal(script):
    with Terminal.debugger(script(TRAINING)) as terminal:
        terminal.until("event 0/26")
        terminal.hang_up()
        assert terminal.process.wait(30) == -signal.SIGHUP


@pytest.mark.rest
def test_it_opens_at_an_exception_whatever_the_script_did_to_the_terminal(script):
    """It drew on it, and goes on doing so from a thread."""
    ending = (
        "print('\\x1b[?1000h\\x1b[?25l\\x1b[31m\\x1b]0;title\\x07\\x1b[2J\\rbroken')\n"
        "import threading, time\n"
        "def talk():\n    while True:\n"
        "        print('chatter', flush=True)\n        time.sleep(0.01)\n"
        "threading.Thread(target=talk, daemon=True).start()\n"
        "raise RuntimeError('no luck')\n"
    )
    with Terminal.debugger(script(TRAINING + ending)) as terminal:
        terminal.until("event 27/27")
        assert "RuntimeError: no luck" in terminal.text
        terminal.type("ppppp")
        terminal.until("event 22/27")
        assert "chatter" not in terminal.text
        terminal.type("q")
        assert terminal.ends() == 0
        assert terminal.is_restored
        assert b"Traceback" not in terminal.written


@pytest.mark.rest
def test_a_mistake_of_its_own_leaves_the_terminal_as_it_was(script):
    mistake = "\nfrom tinygrad_rnn.debugger import views\nviews.step = lambda *anything: 1 / 0\n"
    with Terminal.debugger(script(TRAINING + mistake)) as terminal:
        assert terminal.ends() == 1
        assert terminal.is_restored
        assert "ZeroDivisionError" in terminal.text


@pytest.mark.rest
def test_a_script_asks_the_person_and_is_endless_until_ctrl_c(script):
    endless = (
        "import tinygrad_rnn as tg\n"
        "x = tg.tensor(float(input('how much? ')))\n"
        "print('begun', flush=True)\n"
        "while True:\n    x = x * 1.0\n"
    )
    with Terminal.debugger(script(endless)) as terminal:
        terminal.until("how much?")
        terminal.type("21\r")
        terminal.until("begun")
        terminal.type("\x03")
        terminal.until("Ctrl-C ended the script here")
        last = int(re.search(r"event (\d+)/\1 ", terminal.text)[1])
        assert last > 0
        terminal.type("p")
        terminal.until(f"event {last - 1}/{last}")
        assert "+21" in terminal.text
        terminal.type("\x03")
        assert terminal.ends() == 0
        assert terminal.is_restored


@pytest.mark.rest
@pytest.mark.parametrize(
    "environment", [{"TERM": "dumb"}, {"LC_ALL": "C", "PYTHONUTF8": "0"}], ids=str
)
def test_a_terminal_that_cannot_draw_gets_a_prompt(script, environment):
    with Terminal.debugger(script(TRAINING), **environment) as terminal:
        terminal.until("(tg)")
        assert not terminal.has_screen
        terminal.type("step 2\rquit\r")
        assert terminal.ends() == 0
        assert re.search(r"#2 . zero", terminal.text)
        assert "PYTHONUTF8" not in environment or terminal.written.isascii()
        assert b"\x1b" not in terminal.written or "PYTHONUTF8" in environment
        assert terminal.is_restored


@pytest.mark.rest
def test_with_its_errors_in_a_file_there_is_a_prompt_and_nothing_in_the_file(script, tmp_path):
    with Terminal.debugger(script(TRAINING), errors=tmp_path / "log") as terminal:
        terminal.until("(tg)")
        terminal.type("jump 4\rquit\r")
        assert terminal.ends() == 0
        assert "#4 · backward · sum" in terminal.text
        assert terminal.is_restored
    assert (tmp_path / "log").read_text("utf-8") == ""


@pytest.mark.rest
def test_in_the_c_locale_the_screen_is_in_utf_8_and_with_no_color_in_greys(script):
    with Terminal.debugger(script(TRAINING), LC_ALL="C", PYTHONUTF8=None, NO_COLOR="1") as terminal:
        terminal.until("event 0/26")
        assert "A = w (2,)  ‖·‖=2.236" in terminal.text
        terminal.type("nnd")
        terminal.until("event 2/26")
        terminal.type("q")
        assert terminal.ends() == 0
        assert not _HUES.search(terminal.written)


BREAKPOINT = """
import tinygrad_rnn as tg
x = tg.tensor(1.0, name="x")
with tg.trace() as tr:
    for step in range(2):
        x = x * 2.0
        tg.breakpoint()
tr.debug()
print("after", x.item())
"""


@pytest.mark.rest
def test_from_code_it_opens_each_time_and_the_program_goes_on(script):
    with Terminal(sys.executable, script(BREAKPOINT)) as terminal:
        for where in ("event 0/0", "event 1/1", "event 0/1"):
            terminal.until(where)
            terminal.type("q")
        assert terminal.ends() == 0
        assert "after 4.0" in terminal.text
        assert terminal.is_restored
