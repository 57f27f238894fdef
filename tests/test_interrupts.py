"""Ctrl-C at any line of Python, NumPy's and the library's too: no state is left behind.

Python raises it where it looks for signals: when a function begins or a loop goes on, and after
a call, in the midst of a line.
"""

import dis
import gc
import inspect
import re
import sys
import warnings
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cached_property, partial
from operator import attrgetter

import numpy as np
import pytest
from tables import one_in, rows

import tinygrad_rnn as tg
from tinygrad_rnn.autograd.state import STATE, State
from tinygrad_rnn.autograd.switches import Switch

W = tg.tensor(np.ones(2), requires_grad=True, name="W")
CELL = tg.nn.RNNCell(1, 2, rng=0)  # NumPy's generators set its switches when they are made


def switches():
    with tg.no_grad():
        W * 2.0
    with tg.scope("a"), tg.scope("b"), tg.detect_anomaly():
        (W * W).sum().backward()
    return (W * W).requires_grad


def decorated():
    @tg.no_grad()
    def stretches():
        yield W * 2.0
        yield W * 3.0

    @tg.no_grad()
    async def task():
        return W * 2.0

    with pytest.raises(StopIteration):
        task().send(None)
    return [made.requires_grad for made in stretches()]


def traced():
    with tg.trace(max_memory="1M") as run:
        CELL(np.ones((1, 1))).sum().backward()
    run.graph()
    return [f"{event}" for event in run.events]


def asked():
    with tg.trace() as run:
        h = tg.tensor(np.ones(2), requires_grad=True, name="h")
        for _ in range(2):
            with tg.scope("cell"):
                h = tg.ops.tanh(h * W)
        h.sum().backward()
    ledger, steps = run.ledger("W"), run.origin("h", [0])
    numbers = [row.norm for row in ledger.rows], [step.value for step in steps]
    return f"{run.why('h', [0])} {run.verify()}", numbers


def compiled():
    step = tg.compile(lambda x: (x * W).sum())
    return [step(np.ones(2)).item() for _ in range(3)]


def drawn():
    with tg.trace() as run:
        CELL(np.ones((1, 1))).sum().backward()
    return tg.draw(run).dot


def differentiated():
    x = tg.tensor(np.ones(2), requires_grad=True)
    (x * x).sum().backward()
    return x.grad.data.tolist()


WORKS = (switches, decorated, differentiated, traced, asked, compiled, drawn)
WORKS = {work.__name__: work for work in WORKS}


# Python 3.11 holds a lock in it. Ctrl-C never comes between the end of a block and the lock's
# release, as what is raised for a line does; another thread would wait for that lock for ever.
LOCKING = cached_property.__get__.__code__


# After these instructions Python looks whether a signal has come.
LOOKS = {"CALL", "CALL_FUNCTION_EX", "CALL_KW", "JUMP_BACKWARD", "RESUME"}


def line_by_line(frame, see):
    """Say each line that runs, before it runs."""

    def watch(frame, event, arg):
        if event == "line":
            see((frame.f_code.co_filename, frame.f_lineno))
        return watch

    return watch


def look_by_look(frame, see):
    """Say the line each time that Python looks for signals."""
    frame.f_trace_opcodes, before = True, None
    name_of = {one.offset: one.opname for one in dis.get_instructions(frame.f_code)}

    def watch(frame, event, arg):
        nonlocal before
        if event == "opcode":
            if before in LOOKS:
                see((frame.f_code.co_filename, frame.f_lineno))
            before = name_of[frame.f_lasti]
        return watch

    return watch


def watched(work, see, kind=line_by_line):
    """Run it, and say each moment to `see`, as its file and line.

    Not those of what others have the collector call: Python drops what is raised there.
    """
    left_out = {LOCKING, *(getattr(called, "__code__", None) for called in gc.callbacks)}

    def watch(frame, event, arg):
        return None if frame.f_code in left_out else kind(frame, see)

    sys.settrace(watch)
    try:
        return work()
    finally:
        sys.settrace(None)


def lines_of(work, kind=line_by_line):
    """The lines of all moments, in their order."""
    found = []
    watched(work, found.append, kind)
    return found


def anywhere(line):
    return True


def in_switches(line):
    """Whether it is one of what turns something on and off."""
    return line[0] == inspect.getfile(Switch)


def interrupted(work, at, counts=anywhere, kind=line_by_line):
    """Run it, and press Ctrl-C at a moment, counted from 1."""
    count = 0

    def see(line):
        nonlocal count
        if not counts(line):
            return
        count += 1
        if count == at:
            raise KeyboardInterrupt

    with suppress(KeyboardInterrupt):
        watched(work, see, kind)


def left_behind():
    """What is not as it was, put back for the next."""
    left = []
    if STATE.get() != State():
        left.append(f"{STATE.get()}")
        STATE.set(State())
    if not gc.isenabled():
        left.append("the collector is off")
        gc.enable()
    return left


def settings():
    return np.geterr(), np.get_printoptions(), warnings.filters[:], sys.getrecursionlimit()


def every(lines):
    return range(1, len(lines) + 1)


def some(number, lines):
    return every(lines)[:: max(len(lines) // number, 1)]


def each_line(lines):
    """When each line of the code runs for the first time, for the second, and for the last."""
    times = defaultdict(list)
    for at, line in enumerate(lines, 1):
        times[line].append(at)
    return sorted({at for seen in times.values() for at in (*seen[:2], seen[-1])})


def check(work, moments, counts=anywhere, kind=line_by_line):
    """After each interrupt nothing is left behind, and the work gives what it gave before."""
    before, answer = settings(), work()
    chosen = moments([*filter(counts, lines_of(work, kind))])
    left = {}
    for at in chosen:
        interrupted(work, at, counts, kind)
        behind = left_behind()
        if settings() != before:
            behind.append("settings of NumPy's or of Python's")
        if work() != answer:
            behind.append("another answer")
        if behind:
            left[at] = behind
    assert not left, f"{len(left)} of {len(chosen)} moments: {list(left.items())[:3]}"


def check_alone(*arguments):
    """In a thread: a recording looks for names in all frames, and those of pytest are many."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(check, *arguments).result()


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
@pytest.mark.parametrize("work", WORKS.values(), ids=WORKS)
@pytest.mark.parametrize("number", one_in(3, [10, 20, 50]))
def test_at_some_moments(work, number):
    check_alone(work, partial(some, number))


def test_no_moment_is_one_of_the_collector_s_callbacks():
    def called(phase, info):
        assert phase

    gc.callbacks.append(called)
    try:
        lines = lines_of(gc.collect)
    finally:
        gc.callbacks.remove(called)
    assert (__file__, called.__code__.co_firstlineno + 1) not in lines


OF_SWITCHES = [
    (switches, line_by_line),
    (switches, look_by_look),
    (differentiated, line_by_line),
    (differentiated, look_by_look),
]


@pytest.mark.parametrize(("work", "kind"), rows(OF_SWITCHES, [OF_SWITCHES[0], *OF_SWITCHES[2:]]))
def test_at_every_moment_of_the_switches(work, kind):
    check_alone(work, every, in_switches, kind)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
@pytest.mark.parametrize("work", WORKS.values(), ids=WORKS)
@pytest.mark.parametrize("moments", [each_line, every])
@pytest.mark.parametrize("kind", [line_by_line, look_by_look])
def test_at_every_moment(work, moments, kind):
    check_alone(work, moments, anywhere, kind)


@pytest.mark.parametrize(
    ("file", "nth"), [("writer.py", 5), pytest.param(".py", 1, marks=pytest.mark.slow)]
)
def test_a_run_whose_writing_is_interrupted_is_written_whole(file, nth):
    def recorded():
        with tg.trace() as run:
            for _ in range(2):
                CELL.zero_grad()
                x, y = tg.ops.split(CELL(np.ones((1, 1))), 2, axis=-1)
                (x * y).sum().backward()
                CELL.W_hh.data = CELL.W_hh.data * 1.0
        return run

    def text(run):
        lines = [f"{event} {event.source} {event.stats}" for event in run.events]
        return [*lines, [node.given_name for node in run.run.nodes.values()], f"{run.run.notes}"]

    def numbers(found):
        return re.sub(r"\d{2,}|0x\w+", "", f"{found}")

    whole, asked = numbers(text(recorded())), partial(attrgetter("events"), recorded())
    lines = lines_of(asked)
    for at in [at for at in each_line(lines) if lines[at - 1][0].endswith(file)][::nth]:
        run = recorded()
        interrupted(partial(attrgetter("events"), run), at)
        assert numbers(text(run)) == whole, at


@pytest.mark.parametrize("nth", [27, pytest.param(1, marks=pytest.mark.slow)])
def test_a_program_that_ctrl_c_does_not_end_is_recorded_on(nth):
    def recorded(at, lines):
        def see(line):
            lines.append(line)
            if len(lines) == at:
                raise KeyboardInterrupt

        def first():
            CELL(np.ones((1, 1))).sum().backward()

        with tg.trace() as run:
            with suppress(KeyboardInterrupt):
                watched(first, see)
            x, y = tg.ops.split(CELL(np.ones((1, 1))), 2, axis=-1)
            (x * y).sum().backward()
        return run

    def text(run):
        return [f"{event.source} {event.stats}" for event in run.events if event.source is not None]

    def of_recorder(line):
        return line[0].endswith(("recorder.py", "source.py"))

    lines = []
    before, after = text(recorded(None, lines)), -4  # the split is two, the product, the sum
    for at in [at for at in each_line(lines) if of_recorder(lines[at - 1])][::nth]:
        whole = text(recorded(at, []))
        assert whole[after:] == before[after:], lines[at - 1]
        assert set(whole) <= set(before), lines[at - 1]


SAVES = {
    "run.tgtrace": lambda path, run, model: run.save(path),
    "model.safetensors": lambda path, run, model: tg.save(path, model),
}


@pytest.fixture
def quick_collections():
    """What other tests have left in memory is not looked through again and again."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("quick_collections")
@pytest.mark.parametrize("number", [15, pytest.param(1_000_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", SAVES)
@pytest.mark.filterwarnings("ignore")  # a file that was being opened is closed unasked
def test_an_interrupted_save_leaves_the_old_file_or_the_new_and_no_other(tmp_path, name, number):
    with tg.trace() as run:
        (W * W).sum().backward()
    model, path = tg.nn.Linear(1, 1, rng=0), tmp_path / name

    def save():
        SAVES[name](path, run, model)

    save()
    whole, lines = path.read_bytes(), len(lines_of(save))
    for at in {*range(1, lines, max(lines // number, 1)), *range(max(lines - 60, 1), lines)}:
        interrupted(save, at)
        gc.collect()
        assert (at, [*tmp_path.iterdir()]) == (at, [path])
        assert path.read_bytes() == whole
        assert not left_behind()
