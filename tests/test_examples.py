"""Every example runs as a script, in a directory of its own, and succeeds."""

import runpy
from pathlib import Path

import pytest
from tables import rows

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))
LONG = {"02_gates_at_work.py", "03_how_long_a_memory.py", "04_talk_like_this.py"}  # they train


@pytest.mark.parametrize(
    "path",
    rows(EXAMPLES, [path for path in EXAMPLES if path.name not in LONG]),
    ids=[path.name for path in EXAMPLES],
)
def test_an_example_runs(path, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(path), run_name="__main__")
    assert capsys.readouterr().out
