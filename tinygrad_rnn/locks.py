"""A lock of which each process has its own."""

from os import getpid
from threading import RLock


class Lock:
    """A reentrant lock for the threads of one process; a forked one begins with a free one.

    Only the thread that forks goes on in the new process: what another thread held there, nobody
    would ever release. So what the lock guards must bear that somebody stopped in the midst of it.

    `with lock.here():` holds it.
    """

    __slots__ = ("_lock", "_process")

    def __init__(self) -> None:
        self._lock, self._process = RLock(), getpid()

    def here(self) -> RLock:
        """The lock of this process."""
        if self._process != getpid():
            self._lock, self._process = RLock(), getpid()
        return self._lock
