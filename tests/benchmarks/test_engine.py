"""What an op costs beside the same chain by hand. Nothing is asserted of time."""

import numpy as np
import pytest

from tinygrad_rnn.benchmarks.per_op import BY_HAND, OURS, SIZE, chains


@pytest.mark.parametrize("op", ["add", "mul", "tanh"])
@pytest.mark.parametrize("kind", [BY_HAND, OURS])
def test_chain(benchmark, op, kind):
    benchmark.group = op
    benchmark.pedantic(chains()[op][kind], (np.ones(SIZE), 1000), rounds=5, warmup_rounds=1)
