"""Hypothesis profiles, and what holds in CI alone."""

import gc
import os
import signal

import pytest
from hypothesis import settings

# A script, and it needs cosmic-ray.
collect_ignore = ["mutate.py"]
# Else each worker, and each process that a test starts, compiles every module anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

IN_CI = os.environ.get("CI") == "true"

# A shell ignores Ctrl-C on behalf of its background jobs; tests that press it need it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # as nohup does
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

settings.register_profile("dev", deadline=None, max_examples=40)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.register_profile("nightly", deadline=None, max_examples=2000, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if IN_CI else "dev"))


def pytest_collection_finish():
    """What was imported stays; the garbage collector need not look through it again and again."""
    gc.freeze()


def fail_if_skipped(report):
    """In CI a skipped test is a failed one, lest a missing library pass for a passing test."""
    if IN_CI and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, which CI does not allow: {report.longrepr}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport():
    return fail_if_skipped((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report():
    return fail_if_skipped((yield))
