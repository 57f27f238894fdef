"""What an op costs, as pytest-benchmark sees it, beside the same chain by hand. Nothing is asserted of time."""

import numpy as np
import pytest

from benchmarks.bench_ops import CHAINS, SIZE, measure


@pytest.mark.parametrize("op", CHAINS)
@pytest.mark.parametrize("kind", ["by hand", "recorded"])
def test_chain(benchmark, op, kind):
    benchmark.group = op
    by_hand, recorded = CHAINS[op]
    benchmark.pedantic(by_hand if kind == "by hand" else recorded, (np.ones(SIZE), 1000), rounds=5, warmup_rounds=1)


def test_the_script_compares_gradients_and_prints_ratios():
    costs = measure(rounds=1, length=10)
    assert [cost.op for cost in costs] == ["add", "mul", "tanh"]
    assert all(f"{cost.ratio:5.2f}×" in str(cost) for cost in costs)
