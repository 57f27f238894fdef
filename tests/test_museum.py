"""The museum: recurrent programs of forty years, each run, differentiated, compiled, saved, drawn.

A program of `examples/museum/` is a script that trains a little and prints the loss after each
step, and a module with these names:

- `PARAMS`: its parameters, in a list or a dict.
- `BATCH`: a tuple of arrays; `loss_fn(*BATCH)` is the loss, a scalar Tensor, the same at each call.
- `scaled(T)`, where the program has a length: a batch like BATCH, of T steps.
- `COLUMNS`, `ROWS`: what its picture must have. A column is a time; a row holds the copies of one
  cell, that is of one module, scope or loop that reads what it made at an earlier time.
- `COMPILES = False`, where Python looks at a value, so that tg.compile has to refuse it; a comment
  says where.
"""

import copy
import re
import runpy
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from tables import one_in

import tinygrad_rnn as tg
from tinygrad_rnn.errors import CompileError

MUSEUM = Path(__file__).parents[1] / "examples" / "museum"
PAGE = Path(__file__).parents[1] / "docs" / "museum.md"
NAMES = sorted(path.stem for path in MUSEUM.glob("*.py"))
# A paper of these years, in brackets behind its title.
YEAR = re.compile(r"\((19[89]\d|20[0-2]\d)\)")


@cache
def program(name):
    """The names of a program that was imported, its parameters in a list."""
    names = runpy.run_path(str(MUSEUM / f"{name}.py"), run_name=name)
    return SimpleNamespace(**names, parameters=listed(names["PARAMS"]))


def listed(parameters):
    if isinstance(parameters, dict):
        parameters = parameters.values()
    return list(parameters)


def loss_and_gradients(fn, parameters, batch):
    for p in parameters:
        p.grad = None
    loss = fn(*batch)
    return loss.item(), [p.grad.data for p in parameters]


def short_batch(here):
    if hasattr(here, "scaled"):
        return here.scaled(3)
    return here.BATCH


def differentiated(loss_fn):
    """The loss function with the backward pass inside, as a compiled function needs it."""

    def step(*batch):
        loss = loss_fn(*batch)
        loss.backward()
        return loss

    return step


museum = pytest.mark.parametrize("name", NAMES)
some = pytest.mark.parametrize("name", one_in(6, NAMES))


@museum
def test_a_program_is_short_and_names_its_paper(name):
    text = (MUSEUM / f"{name}.py").read_text("utf-8")
    assert len(text.splitlines()) <= 80
    title, empty, paper, *_ = program(name).__doc__.splitlines()
    assert title.endswith(".")
    assert empty == ""
    assert YEAR.search(program(name).__doc__), paper


@museum
def test_a_program_states_the_interface(name):
    here = program(name)
    assert all(isinstance(p, tg.Tensor) and p.requires_grad for p in here.parameters)
    assert isinstance(here.BATCH, tuple)
    assert all(isinstance(array, np.ndarray) for array in here.BATCH)
    assert here.loss_fn(*here.BATCH).shape == ()
    assert isinstance(here.COLUMNS, int)
    assert isinstance(here.ROWS, int)


@some
def test_a_program_runs_alone_and_its_loss_falls(name, capsys):
    names = runpy.run_path(str(MUSEUM / f"{name}.py"), run_name="__main__")
    printed = [float(line.split()[-1]) for line in capsys.readouterr().out.splitlines()]
    assert len(printed) > 1
    assert np.isfinite(printed).all()
    assert printed[-1] < printed[0]
    # Training has changed every parameter, so each can be reached.
    for trained, first in zip(listed(names["PARAMS"]), program(name).parameters, strict=True):
        assert not np.array_equal(trained.data, first.data)


@some
def test_gradients_agree_with_a_central_difference_in_a_random_direction(name):
    here = program(name)
    gradients = tg.grad(here.loss_fn(*here.BATCH), here.parameters)
    rng = np.random.default_rng(0)
    directions = [rng.standard_normal(p.shape) for p in here.parameters]
    analytic = sum(np.sum(g.data * d) for g, d in zip(gradients, directions, strict=True))
    assert central_difference(here, directions) == pytest.approx(analytic, rel=1e-6, abs=1e-9)


def central_difference(here, directions, h=1e-6):
    kept = [p.data for p in here.parameters]
    ends = []
    for step in (h, -h):
        for p, values, direction in zip(here.parameters, kept, directions, strict=True):
            p.data = values + step * direction
        ends.append(here.loss_fn(*here.BATCH).item())
    for p, values in zip(here.parameters, kept, strict=True):
        p.data = values
    return (ends[0] - ends[1]) / (2 * h)


@pytest.mark.slow
@museum
def test_every_gradient_passes_gradcheck(name):
    here = program(name)
    batch = short_batch(here)
    assert tg.gradcheck(lambda *_: here.loss_fn(*batch), tuple(here.parameters))


# To record and plan a program costs more than all else here.
@pytest.mark.parametrize("name", one_in(12, NAMES))
def test_compiled_is_eager(name):
    here = program(name)
    step = differentiated(here.loss_fn)
    compiled = tg.compile(step)
    batch = short_batch(here)  # to record an op takes far longer than to run it
    if not getattr(here, "COMPILES", True):
        with pytest.raises(CompileError):
            compiled(*batch)
        return
    loss, gradients = loss_and_gradients(step, here.parameters, batch)
    for _ in range(3):  # two are recorded, the third one is a replay
        replayed, replayed_gradients = loss_and_gradients(compiled, here.parameters, batch)
        assert replayed == pytest.approx(loss, rel=1e-12)
        for got, expected in zip(replayed_gradients, gradients, strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12)


@some
def test_parameters_come_back_from_a_file(name, tmp_path):
    here = program(name)
    loss = here.loss_fn(*here.BATCH).item()
    owner = tg.nn.Module()
    owner.of_program = [tg.nn.Parameter(p.data) for p in here.parameters]
    tg.save(tmp_path / "museum.safetensors", owner)
    loaded = copy.deepcopy(owner)
    for p in loaded.parameters():
        p.data = np.zeros(p.shape)
    tg.load(tmp_path / "museum.safetensors", into=loaded)
    for p, back in zip(here.parameters, loaded.parameters(), strict=True):
        p.data = back.data
    assert here.loss_fn(*here.BATCH).item() == loss


@pytest.mark.parametrize("name", one_in(8, NAMES))
def test_a_program_is_recorded_and_drawn(name):
    here = program(name)
    with tg.trace():
        loss = here.loss_fn(*here.BATCH)
        loss.backward()
    assert tg.draw(loss).svg.lstrip().startswith("<")


@some
def test_a_longer_batch_makes_a_longer_program(name):
    here = program(name)
    if not hasattr(here, "scaled"):
        return
    shorter, longer = (here.loss_fn(*here.scaled(steps)) for steps in (6, 12))
    assert np.isfinite(longer.item())
    if here.COLUMNS:
        assert ops_behind(longer) > ops_behind(shorter)


@pytest.mark.rest
@pytest.mark.parametrize("name", NAMES)
def test_a_batch_may_be_long(name):
    here = program(name)
    if hasattr(here, "scaled"):
        loss = here.loss_fn(*here.scaled(200))
        loss.backward()
        assert np.isfinite(loss.item())


def ops_behind(loss):
    seen, waiting = {loss}, [loss]
    while waiting:
        new = set(waiting.pop().inputs) - seen - {None}
        seen |= new
        waiting += new
    return len(seen)


def test_there_are_at_least_forty():
    assert len(NAMES) >= 40


def test_the_page_shows_all_and_their_commands():
    commands = re.findall(r"python examples/museum/(\w+)\.py", PAGE.read_text("utf-8"))
    assert sorted(commands) == NAMES
