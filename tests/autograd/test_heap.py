"""What a step frees is there for the next one."""

import subprocess
import sys
from platform import libc_ver

import pytest

PROGRAM = """
from resource import RUSAGE_SELF, getrusage
import numpy as np
import tinygrad_rnn as tg

layer, xs = tg.nn.GRU(16, 64), tg.tensor(np.ones((40, 32, 16)))

def faults_of_a_step():
    before = getrusage(RUSAGE_SELF).ru_minflt
    layer(xs)[0].sum().backward()
    return getrusage(RUSAGE_SELF).ru_minflt - before

first = faults_of_a_step()
for _ in range(3):
    faults_of_a_step()
print(first, faults_of_a_step())
"""


@pytest.mark.skipif(libc_ver()[0] != "glibc", reason="only the GNU C library is known to give back")
def test_a_step_asks_the_system_for_no_memory_again():
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    first, later = map(int, done.stdout.split())
    assert first > 1000  # pages
    assert later < first / 20
