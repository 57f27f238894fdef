"""`tinygrad-rnn debug`: scripts, seeded faults, streams and terminals of every kind."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from debugger.runs import TRAINING

from tinygrad_rnn.cli import cli
from tinygrad_rnn.debugger import start
from tinygrad_rnn.debugger.commands import execute
from tinygrad_rnn.debugger.session import Session
from tinygrad_rnn.tracing.script import run_script

FAULTS = Path(__file__).parent / "faults"


def debug(*words, commands="", **options):
    Path("commands.tgdb").write_text(commands, "utf-8")
    return CliRunner().invoke(
        cli, ["debug", "--commands", "commands.tgdb", *map(str, words)], **options
    )


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (
            "nan_from_log",
            [
                "#35 · forward · log · t=7",
                "size@7[1] = ln -0.25",
                "x@7[1] = -0.25",
                "→  15         size = ",
            ],
        ),
        (
            "exploding_layer",
            ["layer 2 · RNN › cells.2", "ratio", "∂L/∂W_hh_l2: one row for each use"],
        ),
        ("explodes_late", ["step 30/36", "SGD lr=1.5", "updated by SGD lr=1.5"]),
        ("nan_in_training", ["step 1/4", "← log#25[1,2] = -inf", "← p[1,2] = +0"]),
        ("broadcast", ["broadcast: y (5, 1) and targets (5,) make (5, 5)", "→  14     error = y"]),
        (
            "forgotten_detach",
            ["10 of 2  from earlier steps too", "281    1     0", "h@3:1", "h@0:0"],
        ),
        ("state_not_carried", ["norm(h@3:-1) = 0", "holds: norm(h@3:-1) == 0"]),
        ("never_reached", ["0 of 1  never reached", "0 of 0  never used", "norm(gain) = 1.41421"]),
        (
            "shape_at_step_3",
            ["error · linear · t=3", "h@2.shape = (5,)", "→  15         return np.concatenate"],
        ),
    ],
)
def test_a_seeded_fault_is_found_by_five_commands(fault, said, monkeypatch):
    monkeypatch.chdir(FAULTS)
    assert len(Path(f"{fault}.tgdb").read_text("utf-8").splitlines()) <= 5
    result = CliRunner().invoke(cli, ["debug", "--commands", f"{fault}.tgdb", f"{fault}.py"])
    assert result.exit_code == 0, result.output
    assert [text for text in said if text not in result.output] == []


def test_arguments_reach_the_script_and_its_output_its_event(script):
    result = debug(script(TRAINING), "2", commands="break upd\ncontinue\ncontinue\n")
    assert result.exit_code == 0, result.output
    assert result.output.count("· update") == 2
    run = run_script(Path("script.py"), ["2"], keep_output=True)
    assert [text[:14] for text in run.trace.printed.values()] == [
        "step 0 loss 5.",
        "step 1 loss 3.",
    ]
    assert all(run.trace.events[at].op == "sum" for at in run.trace.printed)


def test_exit_codes_of_a_command_file(script):
    path = script(TRAINING)
    assert debug(path, commands="assert 1 < 2\n").exit_code == 0
    assert debug(path, commands="assert 1 > 2\n").exit_code == 1
    assert debug(path, commands="assert 1 >\n").exit_code == 2
    assert debug("missing.py").exit_code == 2
    assert debug(script("x = 1\n", "empty.py")).exit_code == 2
    assert debug(path, "--", "--steps").exit_code == 0  # behind "--" all is the script's
    assert CliRunner().invoke(cli, ["debug", "--steps", "3..1", "script.py"]).exit_code == 2


ARGUMENTS = """
import sys, tinygrad_rnn as tg
print("given", sys.argv[1:])
x = tg.tensor([1.0], requires_grad=True)
(x * x).sum().backward()
"""


@pytest.mark.parametrize("verb", ["draw", "check", "debug"])
def test_one_rule_says_whose_an_option_is(script, verb):
    """Those that the command knows are its own, wherever they stand; all others the script's."""
    path = str(script(ARGUMENTS))
    Path("c.tgdb").write_text("info\n")
    own = {"draw": ["-o", "x.svg"], "check": ["--samples", "3"], "debug": ["--commands", "c.tgdb"]}

    def given(*words):
        done = CliRunner().invoke(cli, [verb, *words])
        assert done.exit_code == 0, done.output
        return re.search(r"given (.*)", done.output)[1]

    assert given(*own[verb], path, "--lr", "3", "-v") == "['--lr', '3', '-v']"
    assert given(path, "--lr", "3", *own[verb]) == "['--lr', '3']"
    assert given(*own[verb], path, "--", "--steps", "0..2") == "['--steps', '0..2']"
    mine = CliRunner().invoke(cli, [verb, path, "--hidden", "3"])
    assert (mine.exit_code, "stands behind --:" in mine.output) == (2, True)
    unknown = CliRunner().invoke(cli, [verb, "--lr", path])
    # click's own words, which differ from version to version
    assert unknown.exit_code == 2
    assert re.search("No such option:? '?--lr", unknown.output)


def test_commands_come_from_stdin_too(script):
    result = CliRunner().invoke(
        cli, ["debug", "--commands", "-", str(script(TRAINING))], input="print 1 + 1\n"
    )
    assert "1 + 1 = 2" in result.output


def test_steps_are_those_asked_for(script):
    whole, some = (
        run_script(script(TRAINING), ["5"], steps=steps).trace for steps in (None, (1, 2))
    )
    assert sum(e.kind == "seed" for e in whole.events) == 5
    assert sum(e.kind == "seed" for e in some.events) == 2
    assert [e.index for e in some.events] == list(range(len(some.events)))
    per_step = len(whole.events) // 5
    assert [e.kind for e in some.events] == [e.kind for e in whole.events[per_step : 3 * per_step]]
    assert some.events[0].inputs[0].data[0] == pytest.approx(0.8)
    assert execute(Session(some, len(some.events)), "why loss").answer.value == pytest.approx(2.048)


def test_until_nan_ends_where_the_first_nan_is_written(script):
    path = script(
        "import tinygrad_rnn as tg\nx = tg.tensor(-1.0)\ny = tg.ops.sqrt(x)\n"
        "while True:\n    y = y + 1\n"
    )
    trace = run_script(path, until_nan=True).trace
    assert [e.op for e in trace.events] == ["sqrt"]


@pytest.mark.parametrize(
    ("line", "last"),
    [
        ("y = tg.ops.where([True, False], x, -np.inf); y = tg.ops.softmax(y)", "softmax"),
        ("y = x + np.array([0.0, -np.inf]); y = tg.ops.softmax(y * 2)", "softmax"),
        ("y = tg.ops.exp(x * 1e9); y = y + 1", "exp"),
        ("y = tg.ops.exp(tg.ops.where([True, False], x * 1e9, -np.inf)); y = y + 1", "exp"),
        ("y = tg.ops.where([True, False], x, -np.inf); y = y - y; y = y + 1", "sub"),
    ],
)
def test_until_nan_passes_a_mask_of_infinities(script, line, last):
    imports = "import numpy as np\nimport tinygrad_rnn as tg\n"
    path = script(f"{imports}x = tg.tensor([1.0, 2.0], requires_grad=True)\n{line}\n")
    assert run_script(path, until_nan=True).trace.events[-1].op == last


def test_an_exception_is_the_last_event_at_its_line(script):
    path = script(TRAINING + "{}['missing']\n")
    run = run_script(path, keep_output=True)
    last = run.trace.events[-1]
    assert (last.kind, last.message) == ("error", "KeyError: 'missing'")
    assert (last.source.file, last.source.line) == ("script.py", TRAINING.count("\n") + 1)
    assert start.beginning(run.trace) == last.index


def test_a_refused_op_is_that_event_and_there_is_no_second(script):
    run = run_script(
        script("import tinygrad_rnn as tg\ntg.ops.matmul(tg.tensor([1.0]), 2.0)\n"),
        keep_output=True,
    )
    assert [e.kind for e in run.trace.events] == ["error"]


@pytest.mark.parametrize(
    ("ending", "last"),
    [
        ("sys.exit(0)", "update"),
        ("sys.exit(3)", "error"),
        ("raise KeyboardInterrupt", "error"),
        ("input()", "error"),
        (
            "import threading; t = threading.Thread(target=lambda: w * 2); t.start(); t.join()",
            "update",
        ),
        ("print('\\x1b[2J\\x1b]0;x\\x07')", "update"),
        ("def f(): return f()\nf()", "error"),
    ],
)
def test_scripts_that_end_in_every_way(script, ending, last):
    result = debug(script(TRAINING + ending + "\n"), commands="jump end\nlist\n")
    assert result.exit_code == 0, result.output
    assert f"· {last}" in result.output
    assert "\x1b" not in result.output
    assert "Traceback" not in result.output


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_is_no_second_debugger(script):
    path = script(TRAINING + "import os\nif (pid := os.fork()):\n    os.waitpid(pid, 0)\n")
    Path("c.tgdb").write_text("print 40 + 2\n")
    done = command("debug", "--commands", "c.tgdb", path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("40 + 2 = 42") == 1


def command(*words, **options):
    return subprocess.run(
        [sys.executable, "-m", "tinygrad_rnn", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=options.pop("timeout", 60),
        stdin=subprocess.DEVNULL,
        **options,
    )


def test_without_a_terminal_there_is_a_prompt_in_plain_text(script):
    path = script(TRAINING)
    environment = dict(os.environ) | {"TERM": "dumb", "NO_COLOR": "1", "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(
        [sys.executable, "-m", "tinygrad_rnn", "debug", path],
        input="step 3\nwhy\nquit\n",
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "(tg) " in done.stdout
    assert done.stdout.isascii()
    assert "\x1b" not in done.stdout
    assert "Traceback" not in done.stderr


def test_a_browser_is_sent_the_screen_and_nothing_that_the_script_prints(script):
    """What textual-serve does: it reads a line that says that an app begins, then packets."""
    path = script(TRAINING)
    environment = dict(os.environ) | {
        "TEXTUAL_DRIVER": "textual.drivers.web_driver:WebDriver",
        "COLUMNS": "100",
    }
    quit = b'{"type": "quit"}'
    done = subprocess.run(
        [sys.executable, "-m", "tinygrad_rnn", "debug", path, "20"],
        input=b"M" + len(quit).to_bytes(4, "big") + quit,
        capture_output=True,
        timeout=60,
        env=environment,
        check=False,
    )
    assert done.stdout.startswith(b"__GANGLION__\nD")
    assert done.stdout.endswith(b'{"type": "exit"}')
    assert done.returncode == 0, done.stderr


def test_a_texts_network_is_debugged_as_well():
    result = CliRunner().invoke(
        cli, ["debug", "--commands", "-", "--cell", "lstm"], input="jump end\nprint c@2.shape\n"
    )
    assert "c@2.shape = (8,)" in result.output


def test_a_screen_needs_all_three_streams_unless_a_driver_is_named(monkeypatch):
    monkeypatch.delenv("TEXTUAL_DRIVER", raising=False)
    assert not start.has_screen()
    monkeypatch.setenv("TEXTUAL_DRIVER", "textual.drivers.headless_driver:HeadlessDriver")
    assert start.has_screen()


ENDLESS = """
import numpy as np
import tinygrad_rnn as tg

x = tg.tensor(np.ones(1000))
for step in range(400):
    x = x * 1.01
raise KeyboardInterrupt
"""


def test_a_budget_holds_and_what_is_gone_says_so(script):
    path = script(ENDLESS)
    kept = debug("--max-memory", "64K", path, commands="jump 399\nassert norm(x) > 1000\nwhy\n")
    assert kept.exit_code == 0
    result = debug("--max-memory", "64K", path, commands="info\nprint norm(x)\n")
    assert result.exit_code == 2
    assert "401 events · 62.5 KiB held · 0 recomputable · 3 MiB gone" in result.output
    assert "x@0 is gone: the recording went over its max_memory" in result.output


MILLION = """
import tinygrad_rnn as tg

x = tg.tensor([0.5] * 64, requires_grad=True, name="x")
for step in range(130_000):
    loss = (x * x).sum()
    x.grad = None
    loss.backward()
"""


@pytest.mark.slow
def test_a_million_events_are_recorded_within_their_budget_and_looked_at(script):
    import resource

    path = script(MILLION)
    commands = (
        "jump end\nprint norm(x) > 0\nprint norm(d.x) > 0\nback t 3\nback 1000\njump start\ninfo\n"
    )
    Path("c.tgdb").write_text(commands, "utf-8")
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    done = command("debug", "--commands", "c.tgdb", "--max-memory", "64M", path, timeout=600)
    assert done.returncode == 0, done.stderr
    events, held = re.search(r"(\d+) events · ([\d.]+) MiB held", done.stdout).groups()
    assert int(events) > 10**6
    assert float(held) <= 64
    assert "norm(x) > 0 = True" in done.stdout
    # Of the largest child so far, in KiB.
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    per_event = (peak - before) / int(events)
    print(f"{events} events, {peak / 2**20:.2f} GiB at most, {per_event:.2f} KiB an event")
    assert peak < 4 * 2**20


def test_a_bad_budget_is_a_usage_error(script):
    result = debug("--max-memory", "much", script(ENDLESS))
    assert result.exit_code == 2
    assert 'memory is a number of bytes above 0, "256M" or "1G", not \'much\'' in result.output
