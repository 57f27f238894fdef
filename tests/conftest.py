"""Hypothesis profiles, what a test may cost, and what holds in CI alone."""

import gc
import os
import signal
import sys

import pytest
from hypothesis import settings

# A script, and it needs cosmic-ray.
collect_ignore = ["mutate.py"]
# Until all tests are collected next to nothing becomes garbage: see `pytest_collection_finish`.
gc.disable()
# Else every run, and each process that a test starts, compiles every module anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

IN_CI = os.environ.get("CI") == "true"

# A shell ignores Ctrl-C on behalf of its background jobs; tests that press it need it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # as nohup does
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

settings.register_profile("dev", deadline=None, max_examples=40)
settings.register_profile("same", deadline=None, max_examples=40, derandomize=True, print_blob=True)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.register_profile("nightly", deadline=None, max_examples=2000, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("same" if IN_CI else "dev"))


@pytest.hookimpl(tryfirst=True)  # before those that are marked are left out
def pytest_collection_modifyitems(items):
    """A browser takes seconds to start and to wait for, and pip does not bring one along."""
    for item in items:
        if "browser" in getattr(item, "fixturenames", ()):
            item.add_marker("rest")


def pytest_collection_finish():
    """What was imported stays; the garbage collector need not look through it again and again."""
    gc.freeze()
    gc.enable()


def fail_if_skipped(report):
    """In CI a skipped test is a failed one, lest a missing library pass for a passing test."""
    if IN_CI and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, which CI does not allow: {report.longrepr}"
    return report


# Seconds of CPU, those of processes that it waited for included; what takes more is marked.
MOST_CPU = 10.0


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    before = sum(os.times()[:4])
    yield
    took = sum(os.times()[:4]) - before
    item.user_properties.append(("cpu", took))
    marked = item.get_closest_marker("slow") or item.get_closest_marker("rest")
    if took > MOST_CPU and not marked:
        pytest.fail(f"it took {took:.1f} s of CPU: mark it rest, or share what it makes")


def pytest_terminal_summary(terminalreporter):
    """What the run cost, and which tests cost most: seconds on a clock say as much of others."""
    reports = [r for kind in ("passed", "failed") for r in terminalreporter.stats.get(kind, ())]
    cost = {r.nodeid: dict(r.user_properties).get("cpu", 0.0) for r in reports}
    if len(cost) > 1000:
        most = sorted(cost, key=cost.__getitem__)[:-6:-1]
        terminalreporter.write_line(f"{sum(cost.values()):.0f} s of CPU in tests, most of it in")
        for name in most:
            terminalreporter.write_line(f"{cost[name]:6.1f} s  {name}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport():
    return fail_if_skipped((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report():
    return fail_if_skipped((yield))
