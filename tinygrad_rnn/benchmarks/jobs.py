"""What one process measures. Each job has a process, so that it shares no threads or memory."""

import gc
import json
import os
import sys
import time
import tracemalloc
from collections.abc import Callable, Hashable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from math import ceil
from typing import Any, TypeVar

import numpy as np

from ..errors import BenchmarkError
from . import every_op, forms, layers, per_op
from .contenders import BY_HAND, COMPILED, CONTENDERS, LOOP, installed, require_agreement
from .problem import Problem, Size

# Seconds that a shorter step is repeated for, so that the caches hold its own data.
_BLOCK = 0.005


@dataclass(frozen=True, slots=True)
class Job:
    """One process's work; `kind` is a key of KINDS."""

    kind: str
    size: Size
    dtype: str
    rounds: int
    cell: str = "rnn"
    contender: str = ""  # whose memory
    length: int = 0  # ops of a chain

    def __str__(self) -> str:
        return {
            "step": f"{self.cell.upper()}, {self.size}, {self.dtype}",
            "growth": f"growth, {self.size}, {self.dtype}",
            "memory": f"memory of {self.contender}, {self.size}, {self.dtype}",
            "ops": f"chains of {self.length:,} ops",
            "every op": f"every op, {self.size.B} rows of {self.size.H}",
            "layers": f"layers, {self.dtype}",
            "forms": f"forms of {self.cell}, {self.size}, {self.dtype}",
        }[self.kind]

    @property
    def ticks(self) -> int:
        """How often its process reports progress."""
        return self.rounds + 1

    def dump(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def load(cls, text: str) -> "Job":
        fields = json.loads(text)
        return cls(**fields | {"size": Size(**fields["size"])})


Tick = Callable[[], None]
Name = TypeVar("Name", bound=Hashable)


def interleaved(
    runs: Mapping[Name, Callable[[], Any]], rounds: int, tick: Tick
) -> dict[Name, list[float]]:
    """Seconds of processor time a run took, for each round: A B C, A B C and so on."""
    repeats = {name: _repeats(run) for name, run in runs.items()}
    gc.collect()
    # Else a contender's collections walk through all that the others have imported.
    gc.freeze()
    taken: dict[Name, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            if repeats[name] > 1:
                run()  # not counted: it meets the caches as the one before left them
            taken[name].append(_seconds(run, repeats[name]))
        tick()
    gc.unfreeze()
    return taken


def _repeats(run: Callable[[], Any]) -> int:
    """How often a short step is run at a turn; by the fastest of some, since one may be slow.

    So is a call of a compiled function at which it is recorded again.
    """
    seconds = min(_seconds(run, 1) for _ in range(3))
    return max(1, ceil(_BLOCK / max(seconds, 1e-6)))


def _seconds(run: Callable[[], Any], repeats: int) -> float:
    start = time.process_time()
    for _ in range(repeats):
        run()
    return (time.process_time() - start) / repeats


def measure_steps(job: Job, tick: Tick) -> dict[str, Any]:
    """The step by each contender, once all have been found to take the same one."""
    steps = installed(Problem(job.size, job.dtype, job.cell))
    require_agreement(steps, job.dtype)
    tick()
    return {"seconds": interleaved(steps, job.rounds, tick)}


def measure_growth(job: Job, tick: Tick) -> dict[str, Any]:
    """The step by hand, compiled and eager, and what it takes to compile: the first two calls."""
    problem = Problem(job.size, job.dtype)
    steps = installed(problem, (BY_HAND, COMPILED, LOOP))
    require_agreement(steps, job.dtype)
    compiling: list[float] = []
    for _ in range(min(3, job.rounds)):
        step = CONTENDERS["rnn"][COMPILED](problem)
        compiling.append(2 * _seconds(step, 2))
        del step
    tick()
    return {"seconds": interleaved(steps, job.rounds, tick), "compiling": compiling}


def measure_memory(job: Job, tick: Tick) -> dict[str, Any]:
    """Most bytes that Python and NumPy held at once: in the first two steps, and in later ones."""
    problem = Problem(job.size, job.dtype)
    tracemalloc.start()
    step = CONTENDERS["rnn"][job.contender](problem)
    for _ in range(2):
        step()
    first = tracemalloc.get_traced_memory()[1]
    tick()
    gc.collect()
    tracemalloc.reset_peak()
    for _ in range(job.rounds):
        step()
        tick()
    return {"first": first, "later": tracemalloc.get_traced_memory()[1]}


def measure_ops(job: Job, tick: Tick) -> dict[str, Any]:
    """Chains of one op, by all who can, once their gradients have been compared."""
    chains = per_op.chains()
    per_op.require_agreement(chains, job.length)
    tick()
    x = np.linspace(-1.0, 1.0, per_op.SIZE)
    runs = {
        (op, name): partial(run, x, job.length)
        for op, found in chains.items()
        for name, run in found.items()
    }
    seconds: dict[str, dict[str, list[float]]] = {op: {} for op in chains}
    for (op, name), taken in interleaved(runs, job.rounds, tick).items():
        seconds[op][name] = [value / job.length for value in taken]
    return {"seconds": seconds}


def measure_every_op(job: Job, tick: Tick) -> dict[str, Any]:
    """Every differentiable op, its arithmetic alone, and PyTorch's."""
    found = every_op.runs(job.size)
    tick()
    return {"seconds": _taken(found, job.rounds, tick)}


def measure_layers(job: Job, tick: Tick) -> dict[str, Any]:
    """Every layer at every shape; losses are compared first."""
    shapes = {"tiny": (2, 3, 4, 1)} if job.size.name == "tiny" else layers.SHAPES
    found: dict[str, dict[str, Callable[[], Any]]] = {}
    for kind in ("RNN", "LSTM", "GRU"):
        for name, shape in shapes.items():
            found[f"{kind}, {name} {shape}"] = steps = layers.runs(kind, shape, job.dtype)
            losses = [float(step()) for step in steps.values() for _ in range(3)]
            if not np.allclose(losses, losses[0], rtol=1e-4):
                raise BenchmarkError(f"bench: {kind} {shape}: the losses differ: {losses}")
    tick()
    return {"seconds": _taken(found, job.rounds, tick)}


def _taken(
    found: Mapping[str, Mapping[str, Callable[[], Any]]], rounds: int, tick: Tick
) -> dict[str, dict[str, list[float]]]:
    """Seconds by what is run and by who runs it: those of one are interleaved."""
    runs = {(what, who): run for what, by in found.items() for who, run in by.items()}
    seconds: dict[str, dict[str, list[float]]] = {what: {} for what in found}
    for (what, who), taken in interleaved(runs, rounds, tick).items():
        seconds[what][who] = taken
    return seconds


def measure_forms(job: Job, tick: Tick) -> dict[str, Any]:
    """The step in all ways of writing it, once all have been found to take the same one."""
    steps = forms.contenders(Problem(job.size, job.dtype, job.cell))
    tick()
    return {"seconds": interleaved(steps, job.rounds, tick)}


KINDS: dict[str, Callable[[Job, Tick], dict[str, Any]]] = {
    "step": measure_steps,
    "growth": measure_growth,
    "memory": measure_memory,
    "ops": measure_ops,
    "every op": measure_every_op,
    "layers": measure_layers,
    "forms": measure_forms,
}


def pin() -> None:
    """Stay on one processor, where the system lets a process choose."""
    if sys.platform == "linux":
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
