"""The scripts with seeded faults are run by the tests, not collected."""

import sys

collect_ignore_glob = ["faults/*.py"]
if sys.platform == "win32":
    collect_ignore_glob += ["terminal.py", "test_terminal.py"]  # there are no pseudo-terminals of this kind
