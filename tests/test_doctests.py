"""Every example in a docstring of the package gives what it shows.

A module is imported when its turn comes; `--doctest-modules` would import and look through all of
them, and all tests, in each worker.
"""

import doctest
from importlib import import_module
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "tinygrad_rnn"


def module_name(path):
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SHOWING = [
    module_name(path) for path in sorted(PACKAGE.rglob("*.py")) if ">>>" in path.read_text("utf-8")
]


@pytest.mark.parametrize("name", SHOWING)
def test_examples_of_a_module(name):
    module = import_module(name)
    examples = [test for test in doctest.DocTestFinder().find(module) if test.examples]
    runner = doctest.DocTestRunner()
    assert examples
    for example in examples:
        said = []
        assert runner.run(example, out=said.append).failed == 0, "".join(said)
