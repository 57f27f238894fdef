"""Arrays and a description in JSON, in one safetensors file.

The file is checked before anything in it is believed. It holds no code: reading one that a
stranger made runs nothing of theirs, and allocates no more than the file's own size justifies.
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import TinygradError, said
from .files import NotRegular, read_regular, write_atomic
from .text import elide

# Bytes of names, shapes and description: a hostile file must not make us parse gigabytes.
MAX_HEADER = 16 * 2**20
_SHOWN = 300  # characters of a reason
# What reading an inconsistent file may raise, beside the package's own errors.
DAMAGED = (
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    OverflowError,
    RecursionError,
    MemoryError,
)

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Archive:
    """One kind of file.

    Args:
        key: under which safetensors' own metadata keeps the description.
        format: the version that is written.
        error: what everything that goes wrong is raised as.
        load: the function that reads such files, as errors call it.
        save: the function that writes them.
        save_name: its full name.
        oldest: the first version that is still read.
    """

    key: str
    format: int
    error: type[TinygradError]
    load: str
    save: str
    save_name: str
    oldest: int = 1

    def write(
        self,
        path: str | os.PathLike[str],
        description: Mapping[str, Any],
        arrays: Mapping[str, Array],
    ) -> None:
        """Write a file, whole or not at all.

        Raises:
            TinygradError: of the archive's own kind: JSON cannot hold the description, or the file
                cannot be written; what was there before is then still there.
        """
        data = self.encode(description, arrays)
        try:
            write_atomic(path, data)
        except OSError as error:
            reason = f"{error.strerror}; what was there before is unchanged"
            raise self.error(f"{self.save}: {os.fspath(path)}: {reason}") from error

    def read(self, path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, Array]]:
        """The description and the arrays of a file.

        Raises:
            TinygradError: of the archive's own kind: no such file, another kind of file, a damaged
                one, or one of another version.
        """
        return self.decode(os.fspath(path), self._content(path))

    def read_arrays(self, path: str | os.PathLike[str]) -> dict[str, Array]:
        """The arrays of any safetensors file, whoever wrote it.

        Raises:
            TinygradError: of the archive's own kind: no such file, another kind of file, a damaged
                one, or numbers of a type that NumPy lacks.
        """
        name = os.fspath(path)
        with self.blaming(name):
            return self._arrays(name, self._content(path))

    def _content(self, path: str | os.PathLike[str]) -> bytes:
        name = os.fspath(path)
        try:
            return read_regular(path)
        except NotRegular as error:
            raise self.error(f"{self.load}: {name} is not a regular file") from error
        except (OSError, ValueError, MemoryError) as error:
            reason = getattr(error, "strerror", None) or str(error) or "does not fit into memory"
            raise self.error(f"{self.load}: {name}: {reason}") from error

    def encode(self, description: Mapping[str, Any], arrays: Mapping[str, Array]) -> bytes:
        """The content of a file."""
        from safetensors.numpy import save as encode

        try:
            _refuse_other_keys(description)
            text = json.dumps({"format": self.format, **description}, default=_python_number)
            if len(text) > MAX_HEADER // 2:
                raise ValueError(
                    f"the metadata takes {len(text)} bytes as JSON; pass what is large as an array"
                )
            json.loads(text)  # what is nested too deeply can be written, and not be read
            data = encode({name: _plain(name, a) for name, a in arrays.items()}, {self.key: text})
            length = int.from_bytes(data[:8], "little")
            if length > MAX_HEADER:
                raise ValueError(f"names and shapes take {length} bytes, more than are read")
            return data
        except (TypeError, ValueError, KeyError, RecursionError, MemoryError) as error:
            reason = str(error) or "does not fit into memory"
            raise self.error(f"{self.save}: {reason}") from error

    def decode(self, name: str, data: bytes) -> tuple[dict[str, Any], dict[str, Array]]:
        """The description and the arrays, of a file that keeps to safetensors' format."""
        with self.blaming(name):
            arrays = self._arrays(name, data)
            header = json.loads(data[8 : 8 + _header_length(data)])
            text = header.get("__metadata__", {}).get(self.key)
            if text is None:
                raise self.error(
                    f"{self.load}: {name} is a safetensors file, "
                    f"but not one that {self.save_name} wrote"
                )
            description = json.loads(text)
            self._check_format(name, description["format"])
        return description, arrays

    def _arrays(self, name: str, data: bytes) -> dict[str, Array]:
        from safetensors import SafetensorError
        from safetensors.numpy import load as decode

        if len(data) < 8 or _header_length(data) > min(len(data) - 8, MAX_HEADER):
            raise self.error(f"{self.load}: {name} is not a safetensors file, or it was cut off")
        try:
            return decode(data)
        except SafetensorError as error:
            reason = f"is not a safetensors file, or it is damaged: {_short(error)}"
            raise self.error(f"{self.load}: {name} {reason}") from error

    def _check_format(self, name: str, found: Any) -> None:
        if type(found) is int and self.oldest <= found <= self.format:
            return
        read = f"{self.oldest} to {self.format}" if self.oldest < self.format else f"{self.format}"
        age = "an older" if found in range(self.oldest) else "a newer"
        raise self.error(
            f"{self.load}: {name} has format {_short(repr(found))}, this version reads "
            f"{read}; {age} tinygrad_rnn may read it"
        )

    @contextmanager
    def blaming(self, name: str) -> Iterator[None]:
        """An inconsistent description always raises this archive's own error."""
        try:
            yield
        except self.error:
            raise
        except (TinygradError, *DAMAGED) as error:
            reason = f"{type(error).__name__}: {_short(error)}"
            raise self.error(f"{self.load}: {name} is damaged: {reason}") from error


def _header_length(data: bytes) -> int:
    return int.from_bytes(data[:8], "little")


def _short(reason: object) -> str:
    """As much of a file's text, which may be megabytes, as an error shows."""
    return elide(said(reason), _SHOWN)


def _refuse_other_keys(value: Any) -> None:
    """JSON would turn the keys of dicts into texts, and load other keys than were saved."""
    if isinstance(value, Mapping):
        for key, part in value.items():
            if not isinstance(key, str):
                raise TypeError(f"metadata can have texts as keys, not {_short(repr(key))}")
            _refuse_other_keys(part)
    elif isinstance(value, list | tuple):
        for part in value:
            _refuse_other_keys(part)


def _plain(name: str, array: Array) -> Array:
    """The array as a file can hold it, in this machine's byte order; without axes it has none."""
    if isinstance(array, np.ma.MaskedArray):
        raise TypeError(f"{name!r} is a masked array; fill it first")
    if array.dtype.kind not in "fiub" or array.dtype.itemsize > 8:
        raise TypeError(
            f"{name!r} is an array of {array.dtype}, and a file holds floats, integers and "
            "booleans; pass texts as a list, complex numbers as two arrays"
        )
    return np.asarray(array, array.dtype.newbyteorder("="), order="C")


def _python_number(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(
        "metadata can hold what JSON can, and arrays as values of their own; "
        f"{type(value).__name__} is neither"
    )
