"""Every example runs as a script, in a directory of its own, and succeeds."""

import runpy
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))
SLOW = {"03_how_long_a_memory.py", "04_talk_like_this.py"}  # they train; `.ci/run` asks for them


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, marks=[pytest.mark.slow] * (path.name in SLOW)) for path in EXAMPLES],
    ids=[path.name for path in EXAMPLES],
)
def test_an_example_runs(path, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(path), run_name="__main__")
    assert capsys.readouterr().out
