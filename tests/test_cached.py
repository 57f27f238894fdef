"""A property that is computed once: in a process that is forked, too."""

import os
import signal
import sys
import threading

import pytest

from tinygrad_rnn.cached import cached_property


class Slow:
    """Something that waits until it may be computed."""

    may_go = threading.Event()
    count = 0

    @cached_property
    def value(self):
        """What it is."""
        self.count += 1
        self.may_go.wait()
        return self.count


def test_it_is_computed_once_and_is_a_property_of_its_class():
    Slow.may_go.set()
    one = Slow()
    assert (one.value, one.value, one.count) == (1, 1, 1)
    assert Slow.value.__doc__ == "What it is."


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_process_that_is_forked_while_another_thread_computes_computes_its_own():
    Slow.may_go.clear()
    other = Slow()
    thread = threading.Thread(target=lambda: other.value)
    thread.start()
    while not other.count:
        pass
    child = os.fork()
    if not child:
        signal.alarm(10)  # it would wait for ever
        Slow.may_go = threading.Event()
        Slow.may_go.set()
        ended = f"raise SystemExit({Slow().value - 1})"
        os.execv(sys.executable, [sys.executable, "-c", ended])
    Slow.may_go.set()
    thread.join()
    assert os.waitpid(child, 0)[1] == 0
