"""Writes a file whole or not at all; refuses to read what could keep a reader waiting."""

import errno
import os
import secrets
import shutil
import stat
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

_TEMPORARY = ".tinygrad_rnn.tmp"
# Bytes of a text that people give: its numbers take eight times as much.
MOST_TEXT = 128 * 2**20
_READER_WITHIN = 1.0  # seconds


class NotRegular(OSError):
    """A pipe, a device, or the like, where a file is needed."""

    def __init__(self, name: str) -> None:
        super().__init__(errno.EINVAL, "Not a regular file", name)


def read_regular(path: str | os.PathLike[str], limit: int | None = None) -> bytes:
    """The content of a regular file of at most `limit` bytes.

    Raises:
        OSError: it cannot be read, is larger, or is not a regular file: pipes and devices are not
            even opened, since that may wait forever.
    """
    name = os.fspath(path)
    _refuse_impossible(name)
    mode = os.stat(name).st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), name)
    if not stat.S_ISREG(mode):
        raise NotRegular(name)
    with open(name, "rb") as file:
        if limit is None:
            return file.read()
        return within(file.read(limit + 1), limit, name)


def read_stdin(limit: int = MOST_TEXT) -> bytes:
    """The content of standard input, at most `limit` bytes.

    Raises:
        OSError: it is more.
    """
    return within(sys.stdin.buffer.read(limit + 1), limit, "stdin")


def within(data: bytes, limit: int, name: str) -> bytes:
    """The content read from `name`, if it has at most `limit` bytes.

    Raises:
        OSError: it is more.
    """
    if len(data) > limit:
        raise OSError(errno.EFBIG, f"More than {limit // 2**20} MiB", name)
    return data


def check_writable(path: str | os.PathLike[str]) -> None:
    """Refuse a path that cannot be written to, before the work whose result it is for.

    Raises:
        OSError: there is no such folder, nothing can be made in it, or the path is a folder, a
            pipe, or a file that must not be written.
    """
    name = os.fspath(path)
    _refuse_impossible(name)
    with suppress(FileNotFoundError):
        mode = os.stat(name).st_mode
        if stat.S_ISFIFO(mode):
            raise NotRegular(name)
        refused = errno.EISDIR if stat.S_ISDIR(mode) else 0
        if not refused and not os.access(name, os.W_OK):
            refused = errno.EACCES
        if refused:
            raise OSError(refused, os.strerror(refused), name)
        if not stat.S_ISREG(mode):
            return
    try:  # what a folder allows it alone knows
        with _temporary(Path(os.path.realpath(name)).parent):
            pass
    except OSError as error:
        raise OSError(error.errno, error.strerror, name) from error


def write_atomic(path: str | os.PathLike[str], data: bytes) -> None:
    """Write `data` to `path`: a reader finds the old content or the new, never a part.

    Symbolic links are followed, an existing file keeps its mode and a new one gets what `open`
    would give it. Devices and pipes, which cannot be replaced, are written to directly; a pipe that
    nobody reads is refused after a second, since opening it would wait forever. Temporary files
    that an earlier writer left beside `path` when it was killed are removed.

    Warns:
        UserWarning: it is saved, but whether it is on the disk yet is unknown: some folders cannot
            be asked.

    Raises:
        OSError: what `open` and `write` would raise, naming `path`; the old content is still there.
    """
    _refuse_impossible(os.fspath(path))
    try:
        if _is_device_or_pipe(path):
            _write_through(path, data)
        else:
            _replace(Path(os.path.realpath(path)), data)
    except OSError as error:
        # The failing call may have seen a temporary name that means nothing to the caller.
        raise OSError(error.errno, error.strerror, os.fspath(path)) from error


def _refuse_impossible(name: str | bytes) -> None:
    """Raise an OSError for a text that cannot be a path: Python's own error is of another kind."""
    try:
        encoded = os.fsencode(name)
    except UnicodeEncodeError:
        reason = "A path cannot have such characters"
        raise OSError(errno.EINVAL, reason, ascii(name)) from None
    if b"\0" in encoded:
        raise OSError(errno.EINVAL, "A path cannot have a null character", name)


def _is_device_or_pipe(path: str | os.PathLike[str]) -> bool:
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _write_through(path: str | os.PathLike[str], data: bytes) -> None:
    until = time.monotonic() + _READER_WITHIN
    while True:
        try:
            descriptor = os.open(path, os.O_WRONLY | getattr(os, "O_NONBLOCK", 0))
            break
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
        if time.monotonic() > until:
            raise OSError(errno.ENXIO, "Nobody reads from this pipe", os.fspath(path))
        time.sleep(0.01)
    os.set_blocking(descriptor, True)
    with open(descriptor, "wb") as file:
        file.write(data)


def _replace(target: Path, data: bytes) -> None:
    _sweep(target.parent)
    with _temporary(target.parent) as (temporary, file):
        with file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            # A read-only file refuses here, though its directory would let it be replaced.
            open(target, "r+b").close()
            shutil.copymode(target, temporary)
        os.replace(temporary, target)
    try:
        _sync_directory(target.parent)
    except OSError as error:
        reason = f"its folder cannot be written to the disk at once: {error.strerror}"
        warnings.warn(f"{target}: saved, but {reason}", stacklevel=4)


@contextmanager
def _temporary(directory: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """A new file, removed at the end unless it was renamed; its lock says its writer is alive."""
    path = _unused(directory)
    held: list[BinaryIO] = []
    try:
        try:
            while not held:
                held.append(open(path, "xb"))  # noqa: SIM115  (_discard closes it)
                held.append(open(os.dup(held[0].fileno()), "rb"))  # noqa: SIM115
                _lock(held[1])
                if not os.fstat(held[1].fileno()).st_nlink:  # another writer swept it away
                    _discard(path, held)
                    path = _unused(directory)  # yet another one may still remove the old name
            yield path, held[0]
        finally:
            _discard(path, held)
    finally:
        _discard(path, held)  # where Ctrl-C came in the line above, else there is nothing to do


def _unused(directory: Path) -> Path:
    return directory / f".{secrets.token_hex(8)}{_TEMPORARY}"


def _discard(path: Path, held: list[BinaryIO]) -> None:
    while held:
        held[0].close()
        if len(held) == 1:
            with suppress(OSError):  # the file that counts has its name by now, or never gets it
                path.unlink(missing_ok=True)
        held.pop(0)


def _lock(file: BinaryIO) -> None:
    """Hold a lock until the file is closed."""
    if fcntl:
        with suppress(OSError):  # a file system without locks: then nobody sweeps there either
            fcntl.flock(file, fcntl.LOCK_EX)


def _sweep(directory: Path) -> None:
    """Remove what writers that were killed left behind: whoever is still writing holds a lock."""
    if not fcntl:  # elsewhere nothing tells a dead writer's file from a live one's
        return
    with suppress(OSError):  # a directory that cannot be listed may still be written to
        for stray in directory.glob(f".*{_TEMPORARY}"):
            with suppress(OSError), open(stray, "rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                stray.unlink()


def _sync_directory(directory: Path) -> None:
    if os.name != "posix":  # Windows cannot open a directory, and has no need to
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
