"""Hypothesis profiles, and what holds in CI alone."""

import os
import signal

import pytest
from hypothesis import settings

collect_ignore = ["mutate.py"]  # a script, and it needs cosmic-ray

IN_CI = os.environ.get("CI") == "true"

if (
    signal.getsignal(signal.SIGINT) is signal.SIG_IGN
):  # a shell's background job: tests that press Ctrl-C need it
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("dev", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.register_profile("nightly", deadline=None, max_examples=2000, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if IN_CI else "dev"))


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
