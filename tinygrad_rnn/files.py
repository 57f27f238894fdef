"""Writes a file whole or not at all."""

import os
import secrets
import shutil
import stat
from pathlib import Path


def write_atomic(path: str | os.PathLike[str], data: bytes) -> None:
    """Write `data` to `path` so that a reader finds the old content or the new, at any moment, never a part.

    Symbolic links are followed, an existing file keeps its mode and a new one gets what `open` would give it.
    Devices and pipes, which cannot be replaced, are written to directly.

    Raises:
        OSError: what `open` and `write` would raise, naming `path`; the old content is still there.
    """
    if _is_device_or_pipe(path):
        Path(path).write_bytes(data)
        return
    try:
        _replace(Path(os.path.realpath(path)), data)
    except OSError as error:
        # The failing call may have seen a temporary name that means nothing to the caller.
        raise OSError(error.errno, error.strerror, os.fspath(path)) from error


def _is_device_or_pipe(path: str | os.PathLike[str]) -> bool:
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _replace(target: Path, data: bytes) -> None:
    temporary = target.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            open(
                target, "r+b"
            ).close()  # a read-only file refuses here, though its directory would let it be replaced
            shutil.copymode(target, temporary)
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_directory(target.parent)


def _sync_directory(directory: Path) -> None:
    if os.name != "posix":  # Windows cannot open a directory, and has no need to
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
