"""The debugger in a real terminal: what it draws and takes, and that it leaves all as it was."""

import re
import signal
import sys
from pathlib import Path

import pytest
from debugger.runs import TRAINING
from debugger.terminal import Terminal
from test_docs import blocks


def test_commands_typed_ahead_keys_a_new_size_and_leaving(script):
    with Terminal.debugger(script(TRAINING)) as terminal:
        terminal.until("event 0/26")
        assert terminal.has_screen
        terminal.type(":jump 4\rn")
        terminal.until("event 5/26")
        assert "∂L/∂w[0] = +1 · +1" in terminal.text
        terminal.resize(60, 20)
        terminal.type("n")
        terminal.until("event 6/26")
        assert "Events" not in terminal.text
        terminal.type("q")
        assert terminal.ends() == 0
        assert terminal.is_restored


def test_the_screen_in_the_docs_is_the_screen(script):
    page = (Path(__file__).parents[2] / "docs" / "12_debugging_an_exploding_network.md").read_text(
        "utf-8"
    )
    shown = next(block.text for block in blocks(page) if block.language == "text")
    program = next(block.text for block in blocks(page) if block.file_name == "exploding.py")
    with Terminal.debugger(script(program), columns=96, rows=27) as terminal:
        terminal.until("event 0/700")
        terminal.type(":break bwd name=d.h* if norm(out) > 1e4\r]")
        terminal.until("event 357/700")
        assert terminal.text.rstrip().splitlines() == shown.splitlines()


def test_the_mouse_goes_to_an_event(script):
    with Terminal.debugger(script(TRAINING)) as terminal:
        terminal.until("event 0/26")
        row = next(i for i, line in enumerate(terminal.screen.display, 1) if line.startswith("█"))
        for end in "Mm":  # pressed, and let go of
            terminal.type(f"\x1b[<0;61;{row}{end}")
        terminal.until(f"event {60 * 27 // 100}/26")


@pytest.mark.parametrize("size", [(140, 45), (80, 24), (40, 10), (20, 6)])
def test_it_fits_terminals_of_every_size(script, size):
    columns, rows = size
    with Terminal.debugger(script(TRAINING), columns=columns, rows=rows) as terminal:
        terminal.until("event 0/26"[:columns])
        terminal.type("nnnnn")
        terminal.until("event 5/26")
        assert "#5 · backward" in terminal.text
        terminal.type("q")
        assert terminal.ends() == 0
        assert terminal.is_restored


def test_being_killed_leaves_the_terminal_as_it_was(script):
    with Terminal.debugger(script(TRAINING)) as terminal:
        terminal.until("event 0/26")
        terminal.signal(signal.SIGTERM)
        assert terminal.ends() == -signal.SIGTERM
        assert terminal.is_restored
        assert b"Traceback" not in terminal.written


def test_it_ends_with_its_terminal(script):
    with Terminal.debugger(script(TRAINING)) as terminal:
        terminal.until("event 0/26")
        terminal.hang_up()
        assert terminal.process.wait(30) == -signal.SIGHUP


def test_an_exception_is_where_it_opens(script):
    with Terminal.debugger(script(TRAINING + "raise RuntimeError('no luck')\n")) as terminal:
        terminal.until("event 27/27")
        assert "RuntimeError: no luck" in terminal.text
        terminal.type("q")
        assert terminal.ends() == 0
        assert terminal.is_restored
        assert b"Traceback" not in terminal.written


def test_a_mistake_of_its_own_leaves_the_terminal_as_it_was(script):
    mistake = "\nfrom tinygrad_rnn.debugger import views\nviews.step = lambda *anything: 1 / 0\n"
    with Terminal.debugger(script(TRAINING + mistake)) as terminal:
        assert terminal.ends() == 1
        assert terminal.is_restored
        assert "ZeroDivisionError" in terminal.text


def test_ctrl_c_ends_an_endless_script_and_opens_on_what_there_is(script):
    endless = (
        "import tinygrad_rnn as tg\n"
        "x = tg.tensor(1.0)\n"
        "print('begun', flush=True)\n"
        "while True:\n    x = x * 1.0\n"
    )
    with Terminal.debugger(script(endless)) as terminal:
        terminal.until("begun")
        terminal.type("\x03")
        terminal.until("Ctrl-C ended the script here")
        last = int(re.search(r"event (\d+)/\1 ", terminal.text)[1])
        assert last > 0
        terminal.type("p")
        terminal.until(f"event {last - 1}/{last}")
        terminal.type("\x03")
        assert terminal.ends() == 0
        assert terminal.is_restored


def test_a_script_that_plays_with_the_terminal_leaves_no_trace_of_it(script):
    playing = "print('\\x1b[?1000h\\x1b[?25l\\x1b[31m\\x1b]0;title\\x07\\x1b[2J\\rbroken')\n"
    with Terminal.debugger(script(TRAINING + playing)) as terminal:
        terminal.until("event 0/26")
        terminal.type("G")
        terminal.until("event 26/26")
        terminal.type("q")
        assert terminal.ends() == 0
        assert terminal.is_restored


def test_a_script_may_ask_the_person_at_the_terminal(script):
    asking = "import tinygrad_rnn as tg\nx = tg.tensor(float(input('how much? ')))\ny = x * 2.0\n"
    with Terminal.debugger(script(asking)) as terminal:
        terminal.until("how much?")
        terminal.type("21\r")
        terminal.until("event 0/0")
        assert "+42" in terminal.text
        terminal.type("q")
        assert terminal.ends() == 0
        assert terminal.is_restored


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


def test_with_its_errors_in_a_file_there_is_a_prompt_and_nothing_in_the_file(script, tmp_path):
    with Terminal.debugger(script(TRAINING), errors=tmp_path / "log") as terminal:
        terminal.until("(tg)")
        terminal.type("jump 4\rquit\r")
        assert terminal.ends() == 0
        assert "#4 · backward · sum" in terminal.text
        assert terminal.is_restored
    assert (tmp_path / "log").read_text("utf-8") == ""


def test_in_the_c_locale_python_speaks_utf_8_and_so_does_the_screen(script):
    with Terminal.debugger(script(TRAINING), LC_ALL="C", PYTHONUTF8=None) as terminal:
        terminal.until("event 0/26")
        assert "A = w (2,)  ‖·‖=2.236" in terminal.text


_HUES = re.compile(
    rb"\x1b\[[\d;]*?\b(?:3[1-6]|4[1-6]|[34]8;2;(\d+);(?!\1;\1)\d+;\d+|[34]8;5;(?!2[3-5]\d|16|231)\d+)\b"
)


def test_with_no_color_there_are_greys_alone(script):
    colours = {}
    for value in (None, "1"):
        with Terminal.debugger(script(TRAINING), NO_COLOR=value) as terminal:
            terminal.until("event 0/26")
            terminal.type("nnd")
            terminal.until("event 2/26")
            terminal.type("q")
            assert terminal.ends() == 0
            colours[value] = _HUES.search(terminal.written)
    assert colours[None]
    assert not colours["1"]


def test_what_threads_print_meanwhile_does_not_get_onto_the_screen(script):
    talking = (
        "import threading, time\n"
        "def talk():\n    while True:\n"
        "        print('chatter', flush=True)\n        time.sleep(0.01)\n"
        "threading.Thread(target=talk, daemon=True).start()\n"
    )
    with Terminal.debugger(script(TRAINING + talking)) as terminal:
        terminal.until("event 0/26")
        terminal.type("nnnnn")
        terminal.until("event 5/26")
        assert "chatter" not in terminal.text
        terminal.type("q")
        assert terminal.ends() == 0
        assert terminal.is_restored


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


def test_from_code_it_opens_each_time_and_the_program_goes_on(script):
    with Terminal(sys.executable, script(BREAKPOINT)) as terminal:
        for where in ("event 0/0", "event 1/1", "event 0/1"):
            terminal.until(where)
            terminal.type("q")
        assert terminal.ends() == 0
        assert "after 4.0" in terminal.text
        assert terminal.is_restored
