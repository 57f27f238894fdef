"""What people type, and what they get: files, one line, an exit code."""

import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections import Counter

import numpy as np
import pytest
from click.testing import CliRunner
from tables import one_in, rows

import tinygrad_rnn as tg
from tinygrad_rnn.cli import cli
from tinygrad_rnn.cli.console import console, markup
from tinygrad_rnn.diagrams.picture.ramp import Ramp
from tinygrad_rnn.diagrams.picture.theme import LIGHT
from tinygrad_rnn.tracing.script import run_script
from tinygrad_rnn.training.data import Corpus
from tinygrad_rnn.training.loop import Run, Saved, Settings
from tinygrad_rnn.training.word import Speller


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return lambda *words, **options: CliRunner().invoke(
        cli, [str(word) for word in words], **options
    )


def classes(path):
    found = Counter()
    for element in ET.parse(path).iter():
        found.update(element.get("class", "").split())
    return found


TRAINING = """
import sys
import numpy as np
import tinygrad_rnn as tg

rnn = tg.nn.RNN(3, 5, output_size=2, rng=0)
optimizer = tg.optim.SGD(rnn.parameters(), lr=0.1)
for _ in range(10):
    loss = tg.nn.cross_entropy(rnn(np.eye(3))[0], [0, 1, 0])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print("arguments", sys.argv[1:])
"""


def test_demo_leaves_the_diagrams_and_checks_the_gradients(run, tmp_path):
    result = run("demo")
    assert result.exit_code == 0, result.output
    files = sorted(path.name for path in (tmp_path / "tinygrad-rnn-demo").iterdir())
    assert files == ["rolled.png", "rolled.svg", "unrolled.png", "unrolled.svg"]
    assert classes("tinygrad-rnn-demo/unrolled.svg")["cell"] == 4
    assert result.output.count("ok") >= 5
    assert "Loss" in result.output


@pytest.mark.parametrize(("layers", "cells", "messages"), [(1, 4, 3), (2, 8, 6)])
def test_a_word_is_copies_and_messages(run, layers, cells, messages):
    assert run("draw", "--text", "hello", "--layers", layers, "-o", "hello.svg").exit_code == 0
    found = classes("hello.svg")
    assert (found["cell"], found["message"], found["initial"]) == (cells, messages, layers)


@pytest.mark.parametrize("cell", one_in(2, ["rnn", "lstm", "gru"]))
def test_every_cell_can_be_drawn_and_checked(run, cell):
    assert run("draw", "--cell", cell, "--layers", "2", "-o", "out.svg").exit_code == 0
    found = classes("out.svg")
    assert (found["cell"], found["message"], found["initial"]) == (8, 6, 2)
    assert run("check", "--cell", cell, "--hidden", "3").exit_code == 0


def test_gradients_inside_opened_copies(run):
    result = run(
        "draw", "--text", "hello", "--cell", "gru", "--view", "ops", "--gradients", "-o", "out.svg"
    )
    assert result.exit_code == 0
    found = classes("out.svg")
    assert found["cell"] == 4
    assert found["gradient"] > 4 * 15
    assert found["mark"] == 4


def test_several_outputs_and_every_format(run, tmp_path):
    names = ["a.svg", "a.png", "a.pdf", "a.dot"]
    assert run("draw", *(word for name in names for word in ("-o", name))).exit_code == 0
    assert all((tmp_path / name).stat().st_size > 500 for name in names)


def test_text_from_a_file_and_from_stdin(run, tmp_path):
    (tmp_path / "word.txt").write_text("abc\n", "utf-8")
    assert run("draw", "--text-file", "word.txt", "-o", "file.svg").exit_code == 0
    assert run("draw", "--text", "-", "-o", "stdin.svg", input="abc\n").exit_code == 0
    assert (tmp_path / "file.svg").read_bytes() == (tmp_path / "stdin.svg").read_bytes()


def test_a_title_is_written_and_names_the_page(run, tmp_path):
    title = "<i>hello</i> & more"
    assert run("draw", "--title", title, "-o", "x.svg", "-o", "x.html").exit_code == 0
    for page in ("x.svg", "x.html"):
        text = (tmp_path / page).read_text("utf-8")
        assert "<title>&lt;i&gt;hello&lt;/i&gt; &amp; more</title>" in text


def test_characters_that_a_png_cannot_show_are_named(run, tmp_path):
    result = run("draw", "--text", "日本日本", "-o", str(tmp_path / "x.png"))
    assert result.exit_code == 0
    assert "does not have 日 本" in result.stderr


def test_a_script_is_drawn_from_its_last_backward_pass(run, tmp_path):
    (tmp_path / "train.py").write_text(TRAINING, "utf-8")
    result = run("draw", "train.py", "-o", "out.svg", "--", "--epochs", "3")
    assert result.exit_code == 0, result.output
    assert "arguments ['--epochs', '3']" in result.output
    assert classes("out.svg")["cell"] == 3


def test_a_script_is_checked(run, tmp_path):
    (tmp_path / "train.py").write_text(TRAINING, "utf-8")
    result = run("check", "train.py")
    assert result.exit_code == 0, result.output
    assert all(name in result.output for name in ("W_xh", "W_hh", "b_h", "W_hy", "b_y"))


def test_a_wrong_gradient_is_the_answer_no(run, tmp_path):
    (tmp_path / "wrong.py").write_text(
        "import numpy as np\nimport tinygrad_rnn as tg\n"
        "@tg.op(lambda g, y, x: 2 * g * y)\ndef bad(x):\n    return np.exp(x)\n"
        "bad(tg.tensor(1.0, requires_grad=True, name='w')).backward()\n",
        "utf-8",
    )
    result = run("check", "wrong.py")
    assert result.exit_code == 1
    assert "wrong" in result.output


def test_a_script_that_raises_shows_its_traceback_and_is_drawn_all_the_same(run, tmp_path):
    (tmp_path / "broken.py").write_text(TRAINING + "raise RuntimeError('stop here')\n", "utf-8")
    result = run("draw", "broken.py", "-o", "out.svg")
    assert result.exit_code == 1
    assert "RuntimeError: stop here" in result.stderr
    assert f'File "broken.py", line {TRAINING.count(chr(10)) + 1}' in result.stderr
    assert "runpy" not in result.stderr
    assert classes("out.svg")["cell"] == 3


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("raise ValueError('\\x1b[31mred')", "ValueError: ␛[31mred"),
        ("def f(:", "SyntaxError"),
        ("import sys; sys.exit(3)", "script.py ended with sys.exit(3)"),
    ],
)
def test_a_script_that_fails_before_it_computes_anything(run, tmp_path, code, message):
    (tmp_path / "script.py").write_text(code, "utf-8")
    result = run("draw", "script.py")
    assert result.exit_code == 1
    assert message in result.stderr
    assert "tracing" not in result.stderr
    assert not (tmp_path / "diagram.svg").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["draw", "missing.py"], "missing.py: No such file or directory"),
        (["draw", "--text", ""], "too short"),
        (["draw", "--text", "x"], "too short"),
        (["draw", "-o", "hello.xyz"], "use one of .svg"),
        (["draw", "-o", "hello"], "use one of .svg"),
        (["draw", "-o", "nowhere/hello.svg"], "nowhere/hello.svg: No such file or directory"),
        (["draw", "--fold", "some"], '"auto", "none" or a number'),
        (["draw", "--text", "a", "--text-file", "b"], "not both"),
        (["draw", "a.py", "--text", "b"], "not both"),
        (["draw", "empty.py"], "no op of tinygrad_rnn ran"),
        (["draw", "--view", "rolled", "flat.py"], "tg.scope"),
        (["draw", "--gradients", "flat.py"], "tg.scope"),
        (["draw", "--width", "wide"], "8.5cm"),
        (["check", "empty.py"], "no op of tinygrad_rnn ran"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_is_one_clear_line(run, tmp_path, words, message):
    (tmp_path / "empty.py").write_text("x = 1\n", "utf-8")
    (tmp_path / "flat.py").write_text(
        "import tinygrad_rnn as tg\n(tg.tensor(1.0, requires_grad=True) * 2).backward()\n", "utf-8"
    )
    before = sorted(tmp_path.iterdir())
    result = run(*words)
    assert result.exit_code == 2
    assert message in result.stderr
    assert "Traceback" not in result.output
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    "words",
    [
        ["-o", "out"],
        ["-o", "out.xyz"],
        ["-o", "nowhere/out.svg"],
        ["-o", "/proc/out.svg"],
        ["-o", "folder.svg"],
        ["-o", "pipe.svg"],
        ["--width", "wide"],
        ["--fold", "0"],
        ["--dpi", "nan"],
        ["--view", "rolled", "--gradients"],
        ["--view", "ops", "--values", "--view", "rolled"],
        ["--trust", "much"],
    ],
    ids=" ".join,
)
def test_what_is_refused_is_refused_before_the_script_runs(run, tmp_path, words):
    (tmp_path / "folder.svg").mkdir()
    os.mkfifo(tmp_path / "pipe.svg")
    (tmp_path / "s.py").write_text("open('ran', 'w')\n", "utf-8")
    result = run("draw", *words, "s.py")
    assert (result.exit_code, "Traceback" in result.output) == (2, False)
    assert not (tmp_path / "ran").exists()


def test_a_picture_lies_where_it_was_asked_for_though_the_script_went_elsewhere(run, tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "s.py").write_text(
        "import os\nimport tinygrad_rnn as tg\nos.chdir('sub')\n"
        "(tg.tensor(1.0, requires_grad=True) * 2).backward()\n",
        "utf-8",
    )
    assert run("draw", "s.py", "-o", "out.svg").exit_code == 0
    assert (tmp_path / "out.svg").exists()


@pytest.mark.parametrize("command", ["draw", "check"])
def test_ctrl_c_is_130_and_not_the_answer_no(run, tmp_path, command):
    (tmp_path / "s.py").write_text("raise KeyboardInterrupt\n", "utf-8")
    assert run(command, "s.py").exit_code == 130


def test_out_of_memory_is_one_line(run, monkeypatch):
    def exhausted(*_):
        raise MemoryError

    monkeypatch.setattr("tinygrad_rnn.training.word.Speller.of", exhausted)
    result = run("draw")
    assert (result.exit_code, result.stderr) == (2, "Error: out of memory\n")


def test_a_graph_that_is_not_recurrent_is_drawn_a_loop_as_copies_and_sums_are_told_of_scopes(
    run, tmp_path
):
    script = "import tinygrad_rnn as tg\nx = tg.tensor(1.0, requires_grad=True)\n{}\nx.backward()\n"
    (tmp_path / "flat.py").write_text(script.format("x = tg.ops.tanh(x * 2)"), "utf-8")
    for name, body in (("loop", "tg.ops.tanh(x * 2)"), ("sums", "x + 2")):
        text = script.format(f"for _ in range(4):\n    x = {body}")
        (tmp_path / f"{name}.py").write_text(text, "utf-8")
    flat, loop, sums = (run("draw", f"{n}.py", "-o", f"{n}.svg") for n in ("flat", "loop", "sums"))
    assert (flat.exit_code, flat.stderr, classes("flat.svg")["op"]) == (0, "", 2)
    assert (loop.exit_code, loop.stderr, classes("loop.svg")["cell"]) == (0, "", 4)
    assert (sums.exit_code, classes("sums.svg")["op"]) == (0, 4)
    assert "tg.scope" in sums.stderr


def test_an_error_s_traceback_is_there_for_the_asking(run):
    result = run("--traceback", "draw", "--text", "x")
    assert result.exception is not None
    assert "too short" in str(result.exception)


@pytest.mark.parametrize(
    "name", one_in(8, ["<b>&amp;", '"', "\\N\\", "a\0b", "\x1b[31mred", "🙂", "]]>", "-->"])
)
def test_hostile_text_gives_a_correct_picture(run, tmp_path, name):
    (tmp_path / "word.txt").write_bytes(f"{name}{name}".encode())
    result = run("draw", "--text-file", "word.txt", "-o", "out.svg", "-o", "out.png")
    assert result.exit_code == 0, result.output
    assert classes("out.svg")["cell"] == 2 * len(name) - 1
    assert "\x1b" not in (tmp_path / "out.svg").read_text("utf-8")


def test_hundreds_of_characters_are_folded(run, tmp_path):
    (tmp_path / "long.txt").write_text("abcde" * 100, "utf-8")
    assert run("draw", "--text-file", "long.txt", "-o", "out.svg").exit_code == 0
    assert classes("out.svg")["cell"] == 6
    assert "493 more copies" in (tmp_path / "out.svg").read_text("utf-8")


COMMANDS = [
    "--help",
    "--version",
    "explain tanh",
    "study --list",
    "draw s.py -o x.svg",
    "check s.py",
    "debug s.py",
    "train t.txt --hidden 2 --seq 3 --steps 1 -o m.safetensors",
    "exercise",
    "nothing",
]
SCRIPT = """
import tinygrad_rnn as tg
h = tg.tensor([1.0], requires_grad=True, name="h")
for _ in range(3):
    with tg.scope("cell"):
        h = tg.ops.tanh(h * 2)
h.sum().backward()
"""


STREAMS = ["<&- >&- 2>&-", ">/dev/full", ">&-", "2>&-", "2>/dev/full"]
DRAWN = [(command, one) for command in COMMANDS if command.startswith("draw") for one in STREAMS]
OTHERS = [(command, one) for command in COMMANDS if ("draw" not in command) for one in STREAMS]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no such device")
@pytest.mark.parametrize(
    ("command", "streams"),
    [*rows(DRAWN, DRAWN[:2]), *rows(OTHERS, [("check s.py", "2>/dev/full")], pytest.mark.slow)],
)
def test_streams_that_are_closed_or_full(tmp_path, command, streams):
    """They end no command otherwise than in a line; no file gets what was meant for them."""
    (tmp_path / "s.py").write_text(SCRIPT)
    (tmp_path / "t.txt").write_text("hello, world " * 30)
    done = subprocess.run(
        f"{sys.executable} -m tinygrad_rnn {command} {streams}",
        shell=True,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    is_lost = streams == ">/dev/full" and command != "nothing"
    assert done.returncode == (2 if is_lost or command == "nothing" else 0), done.stderr
    assert "Traceback" not in done.stderr
    if is_lost:
        assert done.stderr.splitlines()[-1].endswith("No space left on device")
    if command.startswith("draw"):
        ET.parse(tmp_path / "x.svg")


def test_the_module_and_a_poor_terminal():
    command = [sys.executable, "-m", "tinygrad_rnn", "explain", "tanh"]
    done = subprocess.run(
        command,
        capture_output=True,
        env={"PYTHONIOENCODING": "ascii", "TERM": "dumb", "NO_COLOR": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert b"\x1b" not in done.stdout
    assert b"ok" in done.stdout


def test_the_lines_of_a_text_s_network_are_those_that_computed_it(run, tmp_path):
    assert run("draw", "--text", "hello", "-o", "out.html").exit_code == 0
    page = (tmp_path / "out.html").read_text("utf-8")
    assert "word.py" in page
    assert "core.py" not in page


@pytest.mark.parametrize(
    "words",
    [["--x\x1b[31m\u200b"], ["x\x1b[31m"], ["draw", "--hidden", "\x1b]0;x\x07"], ["demo", "\x9b"]],
)
def test_what_was_typed_acts_in_no_refusal(run, words):
    result = run(*words)
    assert result.exit_code == 2
    assert not set(result.output) & set("\x1b\x07\x9b\u200b")


def test_the_console_prints_text_as_it_is(capsys):
    console().print(markup(":smile: [red] \\ \\[bold]x[/] C:\\"), soft_wrap=True)
    assert capsys.readouterr().out == ":smile: [red] \\ \\[bold]x[/] C:\\\n"


# A trained model, and which loss is differentiated


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("trained") / "talk.safetensors"
    trained = Run(Corpus.of("hello " * 50, "x", 4), Settings(hidden=5, seq=4, batch=2, dropout=0.5))
    trained.step()
    trained.save(path)
    return path


def test_a_trained_model_is_drawn_checked_and_debugged(run, checkpoint):
    model = Saved.load(checkpoint).model
    assert run("draw", checkpoint, "-o", "x.svg").exit_code == 0
    assert classes("x.svg")["cell"] == 4  # h, e, l, l are read
    result = run("check", checkpoint, "--text", "hell", "--all")
    assert result.exit_code == 0, result.output
    assert "W_hy" in result.output
    result = run("debug", checkpoint, "--text", "he", "--commands", "-", input="print W_hh[0,0]\n")
    assert f"{model.W_hh.data[0, 0]:.4g}"[:5] in result.output


def test_what_a_trained_model_cannot_read_or_be(run, checkpoint, tmp_path):
    for words, says in (
        (("--text", "hexe"), "never seen 'x'"),
        (("--text", "h"), "too short"),
        (("--hidden", "5"), "--hidden is of a new network"),
        (("--radius", "2"), "--radius is of a new network"),
        (("more",), "takes no arguments: more"),
        (("--steps", "0..1"), "--steps is for a script"),
    ):
        result = run("draw", checkpoint, *words)
        assert result.exit_code == 2
        assert says in result.stderr
        assert len(result.stderr.strip().splitlines()[-1]) < 200
    tg.save(tmp_path / "other.safetensors", tg.nn.RNN(3, 4, output_size=3, rng=0))
    for command in ("draw", "check", "debug"):
        assert "tg.load reads any other" in run(command, "other.safetensors").stderr


def test_options_of_a_text_are_not_taken_for_a_script_without_a_word(run, tmp_path):
    (tmp_path / "train.py").write_text(TRAINING, "utf-8")
    for option in (("--radius", "3"), ("--loss", "last")):
        result = run("draw", *option, "train.py")
        assert result.exit_code == 2
        assert f"{option[0]} is of a network for a text" in result.stderr
        assert f"arguments {list(option)}" in run("draw", "train.py", "--", *option).output


def marks(path):
    """The norm of the gradient at every step, as the strip of a picture says it."""
    titles = [
        title.text or "" for title in ET.parse(path).iter("{http://www.w3.org/2000/svg}title")
    ]
    return [float(text.rpartition(": ")[2]) for text in titles if text.startswith("t = ")]


TEXT = "the quick brown fox jumps over "


def test_the_last_loss_fades_or_explodes_and_every_loss_hides_it(run):
    drawn = {}
    for name, options in {
        "every": (),
        "fading": ("--loss", "last"),
        "exploding": ("--loss", "last", "--radius", "3", "--hidden", "32"),
    }.items():
        words = ("--text", TEXT, "--gradients", "--scale", "-9..4", "-o", f"{name}.svg")
        assert run("draw", *words, *options).exit_code == 0
        drawn[name] = marks(f"{name}.svg")
        assert len(drawn[name]) == 30
    assert max(drawn["every"]) < 10 * min(drawn["every"])
    assert drawn["fading"][-1] > 1e7 * drawn["fading"][0]
    assert drawn["exploding"][0] > 1e3 * drawn["exploding"][-1]
    speller = Speller.of(TEXT, hidden=32, radius=3.0)
    sizes = np.linalg.svd(speller.network.W_hh.data, compute_uv=False)
    np.testing.assert_allclose(sizes, 3.0)
    np.testing.assert_allclose(drawn["exploding"], norms_by_hand(speller), rtol=1e-3)


def norms_by_hand(speller):
    """‖∂L/∂h_t‖ of the last step's loss at every step, written out in NumPy."""
    names = ("W_xh", "W_hh", "b_h", "W_hy", "b_y")
    W_xh, W_hh, b_h, W_hy, b_y = (getattr(speller.network, name).data for name in names)
    *read, asked = (speller.vocabulary.characters.index(character) for character in TEXT)
    states, h = [], np.zeros(len(b_h))
    for character in read:
        h = np.tanh(W_xh[:, character] + W_hh @ h + b_h)
        states.append(h)
    scores = np.exp(W_hy @ h + b_y)
    error = scores / scores.sum()
    error[asked] -= 1
    gradient, norms = W_hy.T @ error, []
    for h in reversed(states):
        norms.append(np.linalg.norm(gradient))
        gradient = W_hh.T @ (gradient * (1 - h * h))
    return norms[::-1]


def fill_of_marks(path):
    groups = [g for g in ET.parse(path).iter() if "mark" in g.get("class", "").split()]
    return [shape.get("fill") for g in groups for shape in g if shape.get("fill")]


def test_pictures_of_one_scale_have_one_colour_for_one_norm(run):
    for name, scale in (("own", ()), ("wide", ("--scale", "-3..2")), ("low", ("--scale=-9..-6",))):
        assert run("draw", "--gradients", *scale, "-o", f"{name}.svg").exit_code == 0
    ramp = Ramp(-3, 2)
    expected = [LIGHT.color(f"ramp.{ramp.step(norm)}").lower() for norm in marks("wide.svg")]
    assert fill_of_marks("wide.svg") == expected
    assert set(fill_of_marks("low.svg")) == {LIGHT.color("ramp.5").lower()}
    texts = lambda path: [t.text for t in ET.parse(path).iter("{http://www.w3.org/2000/svg}text")]
    assert "≥ 10⁻⁶" in texts("low.svg")  # what lies beyond the scale is not passed off as its end
    assert not {"≤", "≥"} & {text[0] for name in ("own", "wide") for text in texts(f"{name}.svg")}


@pytest.mark.parametrize("scale", ["0..-6", "1..1", "a..b", "-6", "-6..inf", "1e2..3"])
def test_a_bad_scale(run, scale):
    result = run("draw", "--gradients", f"--scale={scale}")
    assert result.exit_code == 2
    assert "two powers of ten" in result.stderr
    assert "--scale is for --gradients" in run("draw", "--scale", "-6..0").stderr


def test_copies_are_drawn_some_levels_of_modules_deep(run):
    words = ("--text", "abc", "--cell", "lstm")
    for depth in ((), ("--depth", "2")):
        assert run("draw", *words, *depth, "-o", "x.svg").exit_code == 0
        assert bool(classes("x.svg")["op"]) is bool(depth)
    for bad in ("0", "two"):
        result = run("draw", *words, "--depth", bad)
        assert result.exit_code == 2
        assert bad in result.stderr
    refused = run("draw", *words, "--depth", "2", "--view", "both").stderr
    assert "--depth is of --view unrolled: --view ops opens everything" in refused


def test_a_script_that_was_changed_is_read_anew(tmp_path):
    for name, loops in (("h", 0), ("k", 1)):  # of one length
        line = f"    {name} = tg.ops.tanh(x)" if loops else f"{name} = tg.ops.tanh(x)    "
        begin = "for i in [0]:\n" if loops else "import os     \n"
        program = f"import tinygrad_rnn as tg\nx = tg.tensor(1.0)\n{begin}{line}\n"
        (tmp_path / "script.py").write_text(program, "utf-8")
        trace = run_script(tmp_path / "script.py").trace
        (event,) = (event for event in trace.events if event.op == "tanh")
        assert trace.last(name).index == event.index
        assert len(event.source.places[-1].loops) == loops


def test_a_picture_of_a_training_keeps_the_last_step_alone(tmp_path, run):
    (tmp_path / "train.py").write_text(TRAINING, "utf-8")
    whole = run_script(tmp_path / "train.py").trace
    last = run_script(tmp_path / "train.py", last_step=True)
    assert len(last.trace.events) == len(whole.events) // 10
    assert last.trained == 10
    assert tg.draw(last.trace, gradients=True).svg == tg.draw(whole, gradients=True).svg
    assert run("draw", "train.py", "--max-memory", "1M", "-o", "x.svg").exit_code == 0
    assert run("draw", "train.py", "--max-memory", "lots").exit_code == 2


def test_how_much_memory_a_run_may_take_is_not_taken_without_a_word(tmp_path, run):
    with tg.trace() as tr:
        tg.nn.RNN(2, 3, rng=0)(np.eye(2))[0].sum().backward()
    tr.save(tmp_path / "run.tgtrace")
    for words, says in {
        ("draw", "--gradients", "--max-memory", "1"): "went over its max_memory",
        ("check", "--max-memory", "1"): "went over its max_memory",
        ("draw", "run.tgtrace", "--max-memory", "1M"): "run.tgtrace is a saved run",
        ("debug", "run.tgtrace", "--max-memory", "1M"): "run.tgtrace is a saved run",
        ("draw", "--trust", "1G"): "--trust is for a saved run",
    }.items():
        result = run(*words)
        assert result.exit_code == 2
        assert says in result.output
