"""What all tests of the debugger share. Scripts with seeded faults are run, not collected."""

import sys
from pathlib import Path

import pytest

collect_ignore_glob = ["faults/*.py"]
if sys.platform == "win32":
    # There are no pseudo-terminals of this kind.
    collect_ignore_glob += ["terminal.py", "test_terminal.py"]


@pytest.fixture
def script(tmp_path, monkeypatch):
    """Writes a script into a folder of the test's own, in which it is then."""
    monkeypatch.chdir(tmp_path)

    def write(text, name="script.py"):
        Path(name).write_text(text, "utf-8")
        return Path(name)

    return write
