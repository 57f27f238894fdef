"""A lock keeps threads apart, and is free in a forked process."""

import os
import signal
import sys
import threading

import pytest

from tinygrad_rnn.locks import Lock


def test_one_thread_holds_it_at_a_time_as_often_as_it_likes():
    lock, order = Lock(), []

    def wait():
        with lock.here():
            order.append("other")

    with lock.here(), lock.here():
        thread = threading.Thread(target=wait)
        thread.start()
        thread.join(0.05)
        order.append("this")
    thread.join()
    assert order == ["this", "other"]


def leave():
    """End a forked process, whose parent is in the midst of a test."""
    os.execv(sys.executable, [sys.executable, "-c", ""])


def ended_well(child):
    return os.waitpid(child, 0)[1] == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_waits_for_no_thread_that_it_does_not_have():
    lock, is_held, may_go = Lock(), threading.Event(), threading.Event()

    def hold():
        with lock.here():
            is_held.set()
            may_go.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    is_held.wait()
    child = os.fork()
    if not child:
        signal.alarm(10)  # it would wait for ever
        with lock.here():
            leave()
    well = ended_well(child)
    may_go.set()
    thread.join()
    assert well


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_thread_that_forks_while_it_holds_the_lock_leaves_it_in_both_processes():
    lock = Lock()
    with lock.here():
        child = os.fork()
        if not child:
            signal.alarm(10)
            with lock.here():
                pass
    if not child:
        leave()
    assert ended_well(child)
