"""Runs the jobs, one process after the other, and keeps what they found."""

import itertools
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import metadata
from statistics import median
from typing import Any

from threadpoolctl import threadpool_info

from ..errors import BenchmarkError
from .contenders import BY_HAND, COMPILED, CONTENDERS
from .forms import REFERENCES
from .jobs import Job
from .problem import SIZES, Size

PARTS = ("step", "gates", "growth", "memory", "ops", "layers", "forms")
LONG = 3200  # timesteps
_LENGTHS = {"tiny": (4, 8, 16), "karpathy": (25, 100, 400, 1600, LONG)}
_ROUNDS = {"tiny": 2, "karpathy": 60, "medium": 15, "large": 7}
_ONE_THREAD = {
    **{f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL", "VECLIB_MAXIMUM")},
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "JAX_PLATFORMS": "cpu",
}


@dataclass(frozen=True, slots=True)
class Measured:
    """A job and what its process found."""

    job: Job
    result: dict[str, Any]

    @property
    def medians(self) -> dict[str, float]:
        """Seconds, by contender."""
        return {name: median(values) for name, values in self.result["seconds"].items()}

    @property
    def nested_medians(self) -> dict[str, dict[str, float]]:
        """Seconds, by what was run and by who ran it."""
        found = self.result["seconds"]
        return {
            what: {who: median(values) for who, values in by.items()} for what, by in found.items()
        }


def jobs(
    parts: Iterable[str], sizes: Iterable[str], dtypes: Iterable[str], quick: bool
) -> list[Job]:
    """What there is to measure of these parts, at these sizes.

    Raises:
        BenchmarkError: there is nothing to measure.
    """
    parts, sizes, dtypes = list(parts), list(sizes), list(dtypes)
    makers: dict[str, Callable[[Size, str, int], list[Job]]] = {
        "step": lambda size, dtype, rounds: [Job("step", size, dtype, rounds)],
        "gates": _gates,
        "growth": _growth,
        "memory": _memory,
        "ops": _ops,
        "layers": _layers,
        "forms": _forms,
    }
    wanted = [size for name, size in SIZES.items() if name in sizes]
    found: list[Job] = []
    for part in (part for part in PARTS if part in parts):
        of_part = dtypes[:1] if part in ("growth", "ops", "layers", "forms") else dtypes
        for size, dtype in itertools.product(wanted, of_part):
            found += makers[part](size, dtype, _fewer(_ROUNDS[size.name], quick))
    if not found:
        raise BenchmarkError(
            f"bench: nothing to measure of {', '.join(parts)} at {', '.join(sizes)}: gates are "
            "measured at medium; growth, ops and layers at karpathy; memory at karpathy and large; "
            "forms at karpathy and medium; and all of them at tiny"
        )
    return found


def _fewer(rounds: int, quick: bool) -> int:
    return min(rounds, max(3, rounds // 5)) if quick else rounds


def _gates(size: Size, dtype: str, rounds: int) -> list[Job]:
    return [
        Job("step", size, dtype, rounds, cell)
        for cell in CONTENDERS
        if cell != "rnn" and size.name in ("tiny", "medium")
    ]


def _growth(size: Size, dtype: str, rounds: int) -> list[Job]:
    return [
        Job("growth", Size(size.name, size.H, T, size.B), dtype, min(rounds, 15))
        for T in _LENGTHS.get(size.name, ())
    ]


def _memory(size: Size, dtype: str, _: int) -> list[Job]:
    if size.name == "medium":
        return []
    steps = LONG if size.name == "karpathy" else size.T
    at = Size(size.name, size.H, steps, size.B)
    return [Job("memory", at, dtype, 1, contender=contender) for contender in (BY_HAND, COMPILED)]


def _ops(size: Size, dtype: str, rounds: int) -> list[Job]:
    length = {"tiny": 10, "karpathy": 1000}.get(size.name)
    if length is None:
        return []
    chains = Job("ops", size, dtype, rounds, length=length)
    shapes = [(1, 65), (64, 1000)] if size.name == "karpathy" else [(2, 3)]
    few = min(rounds, 15)
    return [chains, *(Job("every op", Size(size.name, H, 1, B), dtype, few) for B, H in shapes)]


def _layers(size: Size, dtype: str, rounds: int) -> list[Job]:
    if size.name not in ("tiny", "karpathy"):
        return []
    return [Job("layers", size, dtype, min(rounds, 9))]


def _forms(size: Size, dtype: str, rounds: int) -> list[Job]:
    if size.name == "large":
        return []
    return [Job("forms", size, dtype, rounds, cell) for cell in REFERENCES]


def run(job: Job, tick: Callable[[], None]) -> Measured:
    """Do one job in a process of its own, with one thread.

    Raises:
        BenchmarkError: the contenders do not agree, or the process died.
    """
    command = [sys.executable, "-m", f"{__package__}", job.dump()]
    environment = {**os.environ, **_ONE_THREAD}
    last: dict[str, Any] = {}
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True
        ) as process,
    ):
        assert process.stdout is not None
        try:
            for line in process.stdout:
                last = json.loads(line)
                if "tick" in last:
                    tick()
        except BaseException:
            process.kill()
            raise
        code = process.wait()
        errors.seek(0)
        said = errors.read().strip().splitlines()
    if "result" in last:
        return Measured(job, last["result"])
    raise BenchmarkError(
        last.get("error") or f"bench: {job}: its process ended with {code}: {'; '.join(said[-1:])}"
    )


def machine() -> dict[str, Any]:
    """On what it was measured, and how much else went on."""
    packages = ("numpy", "torch", "jax", "mygrad", "autograd")
    return {
        "python": platform.python_version(),
        "processor": _processor(),
        "processors": os.cpu_count(),
        "load": [round(load, 1) for load in os.getloadavg()] if hasattr(os, "getloadavg") else None,
        "blas": sorted({f"{info['internal_api']} {info['version']}" for info in threadpool_info()}),
        "packages": {name: version for name in packages if (version := _version(name))},
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(
                line.partition(":")[2].strip() for line in file if line.startswith("model name")
            )
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
