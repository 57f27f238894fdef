"""No damaged file and no command line gives a raw error, hangs, or takes too much memory."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from tables import one_in

import tinygrad_rnn as tg
from tinygrad_rnn.files import write_atomic
from tinygrad_rnn.nn.checkpoint import load
from tinygrad_rnn.studies.conduct import read, save
from tinygrad_rnn.studies.study import Record
from tinygrad_rnn.studies.vanish import Vanish
from tinygrad_rnn.tracing.trace import load_trace

FUZZ = Path(__file__).with_name("fuzz.py")
FORMATS = ["tgtrace", "checkpoint", "training", "study", "commands", "expressions"]


def read_mutants(name, seed, count, seconds):
    command = [sys.executable, str(FUZZ), name, str(seed), str(count)]
    environment = os.environ | {"PYTHONPATH": str(FUZZ.parents[2]), "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=seconds, env=environment, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", one_in(3, FORMATS))
def test_a_few_mutants(name):
    read_mutants(name, 0, 8, 120)


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMATS)
def test_many_mutants(name):
    """Five thousand files of each format, a thousand command lines; fresh ones by SEED."""
    seed = int(os.environ.get("SEED", "0"))
    for first in range(0, 1000 if name == "commands" else 5000, 500):
        read_mutants(name, seed + first, 500, 3600)


# Killed while it writes


def one_of_two(path, number):
    write_atomic(path, bytes([number % 2]) * 200_000)


def checkpoint(path, number):
    tg.save(path, tg.nn.Linear(30, 30, rng=number), number=number)


def recording(path, number):
    w = tg.tensor(np.full((30, 30), float(number)), requires_grad=True)
    with tg.trace() as run:
        (w @ w).sum().backward()
    run.save(path)


def runs(path, number):
    settings = Vanish().runs(False)[0]
    save(
        Vanish(), [Record(settings, seed, {"norms": [1.0] * 500}, 0.1) for seed in range(40)], path
    )


def picture(path, number):
    tg.draw(tg.ops.tanh(tg.tensor([1.0], requires_grad=True))).save(path)


WRITERS = {
    "bytes": (one_of_two, lambda path: path.read_bytes() in (b"\0" * 200_000, b"\1" * 200_000)),
    "checkpoint": (checkpoint, load),
    "tgtrace": (recording, load_trace),
    "study": (runs, lambda path: read(Vanish(), path)),
    "svg": (picture, lambda path: path.read_text("utf-8").rstrip().endswith("</svg>")),
}


def killed(name, path, times):
    """Write in a child again and again, kill it at any moment, and read what is there."""
    write, whole = WRITERS[name]
    rng = np.random.default_rng(0)
    write(path, 0)
    for _ in range(times):
        child = os.fork()
        if not child:
            number = 1
            while True:
                write(path, number)
                number += 1
        time.sleep(float(rng.uniform(0, 0.05)))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        assert whole(path)
    write(path, 1)
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_writer_that_is_killed_leaves_a_whole_file(name, tmp_path):
    killed(name, tmp_path / "file.svg", 3)


@pytest.mark.slow
@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_writer_that_is_killed_a_hundred_times(name, tmp_path):
    killed(name, tmp_path / "file.svg", 100)
