"""Tests against torch, which is no dependency: collected where it can be imported."""

import importlib.util

collect_ignore_glob = [] if importlib.util.find_spec("torch") else ["test_*.py"]
