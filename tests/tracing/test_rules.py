"""A rule that changes has another version, so that recordings made before it say so.

`python tests/tracing/test_rules.py` writes down anew what each rule gives; raise its version in
`tracing/file/rules.py` where an old line changed.
"""

import json
from pathlib import Path

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import manual
from tinygrad_rnn.tracing.file.rules import VERSIONS

KNOWN = Path(__file__).with_name("rules.json")
# Where rules have their corners: zeros, ties, ends of ranges, what is not finite.
CORNERS = [0.0, -0.0, 1.0, -1.0, 0.5, 2.0, 1e3, np.inf, -np.inf, np.nan]


def given_by(entry):
    """What a rule gives: of the manual's example, and of corners where it is elementwise."""
    shown = manual.example(entry)
    found = [shown.output, *shown.gradients]
    if entry.op.kind == "elementwise" and not shown.options:
        found += at_corners(entry, shown)
    return [None if array is None else as_text(array) for array in found]


def at_corners(entry, shown):
    dtype = shown.inputs[-1].dtype
    values = np.array([0, 1] if dtype.kind == "b" else CORNERS).astype(dtype)
    grid = list(np.meshgrid(*[values] * len(shown.inputs), indexing="ij"))
    if entry.name == "where":
        grid[0] = grid[0] > 0
    is_float = [x.dtype.kind == "f" for x in grid]
    xs = [tg.Tensor(x, requires_grad=a) for x, a in zip(grid, is_float, strict=True)]
    y = entry.function(*xs)
    if not y.requires_grad:
        return [y.data]
    gradients = tg.grad(y, [x for x in xs if x.requires_grad], np.ones(y.shape))
    return [y.data, *(g.data for g in gradients)]


def as_text(array):
    """Eight digits: less than that are no matter of rounding."""
    values = np.asarray(array, float).ravel().tolist()
    return " ".join([str(array.dtype), str(array.shape), *(f"{value:.8g}" for value in values)])


def alike(one, other):
    """Whether two lines are of the same numbers, but for rounding."""
    if one is None or other is None:
        return one is other
    (a, *xs), (b, *ys) = (line.partition(")")[::2] for line in (one, other))
    numbers = [np.array("".join(part).split(), float) for part in (xs, ys)]
    return a == b and np.allclose(*numbers, rtol=1e-7, atol=1e-12, equal_nan=True)


@np.errstate(all="ignore")
def all_rules():
    return {entry.name: [VERSIONS.get(entry.name, 1), *given_by(entry)] for entry in manual.table()}


def test_a_rule_that_changed_has_another_version():
    known, now = json.loads(KNOWN.read_text("utf-8")), all_rules()
    assert set(VERSIONS) <= set(now)
    assert set(known) == set(now), "write the new rules down: python tests/tracing/test_rules.py"
    for name, (version, *lines) in now.items():
        before, *written = known[name]
        is_same = len(lines) == len(written) and all(map(alike, lines, written))
        assert is_same or version > before, (
            f"{name} gives something else than before: raise its version in tracing/file/rules.py, "
            "then write the rules down anew"
        )
        assert version == before or not is_same, f"{name}: written down with version {before}"


@pytest.mark.parametrize("change", [lambda g, y, x: 2 * g, None])
def test_a_change_of_a_gradient_is_noticed(change):
    entry = manual.find("tanh")
    changed = tg.op(change)(lambda x: np.tanh(x))
    other = manual.Entry("tanh", "tanh", "", changed)
    assert not all(map(alike, given_by(entry), given_by(other)))


if __name__ == "__main__":
    KNOWN.write_text(json.dumps(all_rules(), indent=0) + "\n", "utf-8")
