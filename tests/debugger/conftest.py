"""The scripts with seeded faults are run by the tests, not collected."""

collect_ignore_glob = ["faults/*.py"]
