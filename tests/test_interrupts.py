"""Ctrl-C at any line of Python, NumPy's and the library's too: no state is left behind."""

import gc
import sys

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.autograd.state import STATE, State

W = tg.tensor(np.ones(2), requires_grad=True, name="W")


def switches():
    with tg.no_grad():
        W * 2.0
    with tg.scope("a"), tg.scope("b"), tg.detect_anomaly():
        (W * W).sum().backward()


def decorated():
    @tg.no_grad()
    def stretches():
        yield W * 2.0
        yield W * 3.0

    @tg.no_grad()
    async def task():
        return W * 2.0

    list(stretches())
    with pytest.raises(StopIteration):
        task().send(None)


def traced():
    with tg.trace(max_memory="1M") as run:
        tg.nn.RNNCell(1, 2, rng=0)(np.ones((1, 1))).sum().backward()
    run.graph()


def compiled():
    step = tg.compile(lambda x: (x * W).sum())
    for _ in range(3):
        step(np.ones(2))


def drawn():
    with tg.trace() as run:
        tg.nn.RNNCell(1, 2, rng=0)(np.ones((1, 1))).sum().backward()
    assert tg.draw(run).dot


WORKS = {work.__name__: work for work in (switches, decorated, traced, compiled, drawn)}


def interrupted(work, at):
    """Run it, and press Ctrl-C at this line; returns how many lines ran."""
    count = 0

    def watch(frame, event, arg):
        nonlocal count
        if event == "line":
            count += 1
            if count == at:
                raise KeyboardInterrupt
        return watch

    sys.settrace(watch)
    try:
        work()
    except KeyboardInterrupt:
        pass
    finally:
        sys.settrace(None)
    return count


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


def check(work, number):
    work()
    lines = interrupted(work, 0)
    moments = range(1, lines + 1, max(lines // number, 1))
    left = {}
    for at in moments:
        interrupted(work, at)
        if behind := left_behind():
            left[at] = behind
    assert not left, f"{len(left)} of {len(moments)} moments: {list(left.items())[:3]}"
    return lines


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
@pytest.mark.parametrize("work", WORKS.values(), ids=WORKS)
def test_at_a_hundred_lines(work):
    check(work, 100)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
@pytest.mark.parametrize("work", WORKS.values(), ids=WORKS)
def test_at_every_line(work):
    check(work, 1_000_000)


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
@pytest.mark.parametrize("number", [60, pytest.param(1_000_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", SAVES)
@pytest.mark.filterwarnings("ignore")  # a file that was being opened is closed unasked
def test_an_interrupted_save_leaves_the_old_file_or_the_new_and_no_other(tmp_path, name, number):
    with tg.trace() as run:
        (W * W).sum().backward()
    model, path = tg.nn.Linear(1, 1, rng=0), tmp_path / name

    def save():
        SAVES[name](path, run, model)

    save()
    whole, lines = path.read_bytes(), interrupted(save, 0)
    for at in {*range(1, lines, max(lines // number, 1)), *range(max(lines - 60, 1), lines)}:
        interrupted(save, at)
        gc.collect()
        assert (at, [*tmp_path.iterdir()]) == (at, [path])
        assert path.read_bytes() == whole
        assert not left_behind()
