"""Reads mutants of every format and uses what could be read: `python fuzz.py FORMAT SEED COUNT`.

FORMAT is tgtrace, checkpoint, training, study, commands (command lines) or expressions (of the
debugger); the last two are no files.

Prints what nobody should see: an error that is not the package's own, one of several lines, a
mutant that took more than SECONDS of processor time or waited for WAITING, or more memory than
BOUND in all.
"""

import io
import os
import resource
import signal
import sys
import tempfile
import warnings
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np

import tinygrad_rnn as tg
from tinygrad_rnn.errors import TinygradError

sys.path.insert(0, str(Path(__file__).parent))
import mutants

SECONDS = 20  # of processor time: a busy machine hangs nobody
WAITING = 600  # what waits for a pipe takes no processor time
BOUND = 2**30  # bytes that the process may take in all


class TooLong(BaseException):
    pass


def ring(*_):
    raise TooLong


@tg.op(lambda g, y, x, power: g * power * x ** (power - 1))
def raised(x, power):
    """A power: an op of the program's own, with an option."""
    return x**power


def step():
    """Two layers that learn: copies, a stack, an index, broadcasting, a user's own loop."""
    rnn = tg.nn.GRU(3, 4, output_size=2, num_layers=2, rng=0)
    optimizer = tg.optim.Adam(rnn.parameters(), lr=0.1)
    for _ in range(2):
        ys, _ = rnn(np.random.default_rng(0).standard_normal((3, 2, 3)))
        loss = tg.nn.cross_entropy(ys[-2:, [0, 1]], np.zeros((2, 2), int)) + raised(ys, 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def loop():
    W = tg.tensor(np.eye(3), requires_grad=True, name="W")
    h = tg.tensor(np.ones(3), name="h")
    hs = []
    for x in tg.tensor(np.eye(3), name="xs"):
        with tg.scope("cell"):
            h = tg.ops.tanh(W @ h + x * 2)
            hs.append(h)
    wide = tg.ops.einsum("ij,jk->ik", W, tg.ops.pad(W, 1)[:3])
    hs[0] = hs[0] + tg.ops.repeat(wide.sum(axis=0), 2)[:3] + tg.ops.one_hot([1], 3)[0] * 0.1
    parts = tg.ops.concatenate([tg.ops.stack(hs)[::-1, [0, 2]], tg.ops.stack(hs).T[:, :2]], axis=0)
    (parts.astype(np.float32).clip(max=0.9).sum(axis=0, keepdims=True).reshape(2).mean()).backward()


def trace_of(run, path, limit=None):
    with tg.trace(max_memory=limit) as recorded:
        run()
    recorded.save(path)
    return path.read_bytes()


def use_trace(path):
    from tinygrad_rnn.debugger.commands import execute
    from tinygrad_rnn.debugger.session import Session
    from tinygrad_rnn.tracing.questions.checks import check_gradients
    from tinygrad_rnn.tracing.trace import load_trace

    run = load_trace(path)
    session = Session(run)

    def ask(text):
        execute(session, text)

    questions = [
        lambda: list(check_gradients(run.graph(), 2)),
        lambda: tg.draw(run).svg,
        lambda: tg.draw(run, view="backward").dot,
        lambda: tg.draw(run, view="ops", values=True, gradients=True).dot,
        lambda: tg.draw(run, view="rolled").dot,
        lambda: tg.draw(run).html,
    ]
    words = [
        "jump end",
        "why",
        "origin",
        "back 5",
        "why",
        "ledger",
        "verify",
        "info",
        "list",
        "tree",
    ]
    for word in words:
        questions.append(lambda word=word: ask(word))
    for question in questions:
        allowed(question)


def use_checkpoint(path):
    from tinygrad_rnn.nn.checkpoint import load

    found = load(path)
    str(found.model), found.model.state_dict()
    if found.optimizer is not None:
        for parameter in found.model.parameters():
            parameter.grad = np.ones(parameter.shape, parameter.dtype)
        allowed(found.optimizer.step)


def use_training(path):
    """What the two commands do with a checkpoint of `train`."""
    command("sample", path, "--length", "3", "--seed", "1")
    command("train", "--resume", path, "--steps", "3", "--seconds", "1", "-o", f"{path}.out")


def use_study(path):
    from tinygrad_rnn.studies.conduct import conduct
    from tinygrad_rnn.studies.vanish import Vanish

    _ = conduct(Vanish(), seeds=1, path=path, backend="sequential").charts


SCRIPT = """
import numpy as np, tinygrad_rnn as tg
h = tg.tensor(np.ones(3), requires_grad=True, name="h")
for _ in range(3):
    with tg.scope("cell"): h = tg.ops.tanh(h * 2)
h.sum().backward()
"""
OPTIONS = """
-o --view --fold --theme --width --dpi --text --text-file --cell --layers --hidden --seed
--trust --samples --all --commands --until --steps --max-memory --resume --encoding --seq
--batch --lr --clip --prime --length --temperature --neuron --gradients --values --plain --
--threads --dropout --list --json --out -h --traceback --seconds
""".split()  # noqa: SIM905
WORDS = """
s.py t.txt run.tgtrace c.safetensors pipe folder missing - x.svg x.png x.html x.dot x.xyz
nowhere/x.svg 0 1 2 3 -1 1e9 nan inf 99999999999999999999 auto none rolled unrolled both ops
backward dark 8.5cm hello rnn lstm gru tanh 0..3 nan 256M 1T utf-8 utf-7 idna rot13 ../x
/dev/zero /dev/null all
""".split()  # noqa: SIM905
WORDS += ["a" * 300, "", "💩", "\x1b[31m"]
VERBS = ["draw", "check", "debug", "train", "sample", "explain", "study", "nothing"]


def command_line(rng):
    """A verb, and options and words of any kind in any order."""
    words = [VERBS[rng.integers(len(VERBS))]]
    if words == ["train"]:
        words += ["--steps", "1", "--hidden", "2"]
    for _ in range(rng.integers(7)):
        if rng.integers(2):
            words.append(OPTIONS[rng.integers(len(OPTIONS))])
        words.append(WORDS[rng.integers(len(WORDS))])
    return "\0".join(words).encode()


PIECES = """
h h@1 h@-1 d.h@2 W d.W xs out A B G T h.T h.shape W.ndim h@1:0 loss@0: α 损失 __class__ h.__class__
lambda + - * / // % ** @ == != < <= > >= ( ) [ ] , : . # = ; ~ & | ^ and or not in is if else for
norm( absmax( mean( std( sum( min( max( any( all( abs( exp( log( sqrt( tanh( sat( frac( has_nan(
0 1 -1 2 3.5 1e9 1e308 10**9 9**9**9 nan inf True None 0x10 1_000 2h 1j 'x' f"{h}" [0] [0,1]
[:] [...] [:,None]
""".split()  # noqa: SIM905
ASKING = [
    "print",
    "assert",
    "watch",
    "break if",
    "break change=",
    "why",
    "origin",
    "select",
    "axis",
]


def expression(rng):
    """A command with an expression: pieces of the language in any order, some of them glued."""
    pieces = [PIECES[rng.integers(len(PIECES))] for _ in range(1 + rng.integers(12))]
    if rng.integers(20) == 0:
        pieces = ["(" * int(rng.integers(300)), *pieces * int(rng.integers(1, 60))]
    glue = ["", " "][rng.integers(2)]
    return f"{ASKING[rng.integers(len(ASKING))]} {glue.join(pieces)}".encode()


def use_expression(session, path):
    from tinygrad_rnn.debugger import views
    from tinygrad_rnn.debugger.commands import execute

    session.breakpoints.clear()
    session.watches.clear()
    text = path.read_text("utf-8")

    def ask():
        reply = execute(session, text)
        list(views.answer(session, reply.answer, 80))
        views.side(session, 36, 40)

    allowed(ask)


def use_command_line(path):
    words = path.read_bytes().decode().split("\0")
    if words[0] == "study" and "--list" not in words:
        words.insert(1, "--list")  # a study takes minutes
    command(*words)


def command(*words):
    from click.testing import CliRunner

    from tinygrad_rnn.cli import cli

    done = CliRunner().invoke(cli, list(map(str, words)))
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    error = done.stderr.strip()
    if done.exit_code not in (0, 1, 2, 130) or (done.exit_code == 2 and "Error" not in error):
        raise AssertionError(f"exit {done.exit_code}: {error}")
    return done


def allowed(question):
    """Ask; the package's own errors are answers too."""
    try:
        question()
    except TinygradError as error:
        one_line(error)


def one_line(error):
    if "Traceback" in str(error):
        raise AssertionError(f"not one line: {error}")


def prepared(name, folder):
    """The mutants of a format, and how one is used."""
    path = folder / "good"
    if name == "commands":
        os.chdir(folder)
        Path("s.py").write_text(SCRIPT)
        Path("t.txt").write_text("hello world, " * 60)
        os.mkfifo("pipe")
        Path("folder").mkdir()
        trace_of(loop, Path("run.tgtrace"))
        command(
            "train", "t.txt", "--hidden", "4", "--seq", "5", "--steps", "1", "-o", "c.safetensors"
        )
        return command_line, use_command_line
    if name == "expressions":
        from tinygrad_rnn.debugger.session import Session

        trace_of(loop, path)
        session = Session(tg.load_trace(path), 8)
        return expression, lambda path: use_expression(session, path)
    if name == "tgtrace":
        data = [trace_of(step, path), trace_of(loop, path), trace_of(loop, path, 1500)]
        from tinygrad_rnn.tracing.file.saving import ARCHIVE

        makers = [mutants.of_archive(ARCHIVE, one) for one in data]
        return lambda rng: makers[rng.integers(len(makers))](rng), use_trace
    if name == "study":
        use_study(path)
        return mutants.of_json(path.read_bytes()), use_study
    from tinygrad_rnn.nn.checkpoint import ARCHIVE

    if name == "checkpoint":
        made = tg.nn.Sequential(tg.nn.Linear(2, 3, rng=0), tg.nn.LSTM(3, 4, num_layers=2, rng=0))
        optimizer = tg.optim.Adam(made.parameters(), lr=0.1)
        for parameter in made.parameters():
            parameter.grad = np.ones(parameter.shape)
        optimizer.step()
        tg.save(path, made, optimizer, note={"a": [1, 2]}, more=np.eye(2))
        return mutants.of_archive(ARCHIVE, path.read_bytes()), use_checkpoint
    (folder / "t.txt").write_text("hello world, " * 60)
    command("train", folder / "t.txt", "--hidden", "4", "--seq", "5", "--batch", "2", "--steps",
            "2", "--cell", "lstm", "-o", path)  # fmt: skip
    return mutants.of_archive(ARCHIVE, path.read_bytes()), use_training


def run(name, seed, count):
    """What went wrong with `count` mutants, and how many were refused."""
    for clock in (signal.SIGPROF, signal.SIGALRM):
        signal.signal(clock, ring)
    wrong, refused = [], 0
    with tempfile.TemporaryDirectory() as name_of, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        folder = Path(name_of)
        mutant, use = prepared(name, folder)
        for number in range(seed, seed + count):
            path = folder / "mutant"
            path.write_bytes(mutant(np.random.default_rng(number)))
            signal.setitimer(signal.ITIMER_PROF, SECONDS)
            signal.alarm(WAITING)
            try:
                with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
                    use(path)
            except TinygradError as error:
                refused += 1
                if "\n" in str(error) or str(path) not in str(error):
                    wrong.append(f"{number}: {error!r:.300}")
            except (Exception, TooLong) as error:
                wrong.append(f"{number}: {error!r:.300}")
            finally:
                signal.setitimer(signal.ITIMER_PROF, 0)
                signal.alarm(0)
    return wrong, refused


def main(name, seed, count):
    wrong, refused = run(name, int(seed), int(count))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    if peak > BOUND:
        wrong.append(f"took {peak >> 20} MiB")
    print(*wrong, sep="\n")
    print(f"{name}: {count} mutants, {refused} refused, {len(wrong)} wrong, {peak >> 20} MiB")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    main(*sys.argv[1:])
