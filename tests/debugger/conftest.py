"""What all tests of the debugger share; the scripts with seeded faults are run by the tests, not collected."""

import sys
from pathlib import Path

import pytest

collect_ignore_glob = ["faults/*.py"]
if sys.platform == "win32":
    collect_ignore_glob += [
        "terminal.py",
        "test_terminal.py",
    ]  # there are no pseudo-terminals of this kind


@pytest.fixture
def script(tmp_path, monkeypatch):
    """Writes a script into a folder of the test's own, in which it is then."""
    monkeypatch.chdir(tmp_path)

    def write(text, name="script.py"):
        Path(name).write_text(text, "utf-8")
        return Path(name)

    return write
