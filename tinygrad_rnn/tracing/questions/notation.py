"""How numbers, indices and elements of tensors are written."""

from typing import Any, cast

import numpy as np

from ...errors import TraceError

Index = tuple[int, ...]  # of one element

_WHOLE_FROM, _WHOLE_UNTIL = 1e4, 1e6  # numbers of this size are written out, without a power of ten


def number(value: float) -> str:
    """A number as formulas show it: the sign always, so that it reads without colour.

    >>> number(0.64781), number(-3), number(12003.4), number(4.1e6)
    ('+0.6478', '-3', '+12003', '+4.1e+06')
    """
    if np.isnan(value):
        return "nan"
    if _WHOLE_FROM <= abs(value) < _WHOLE_UNTIL:
        return f"{value:+.0f}"
    return f"{value:+.4g}"


def precise(value: float) -> str:
    """A number as results show it: with more digits."""
    return "nan" if np.isnan(value) else f"{value:+.6g}"


def element(name: str, index: Index) -> str:
    """One element of a tensor as people write it; a scalar has no index.

    >>> element("h@3", (1, 2))
    'h@3[1,2]'
    """
    return f"{name}[{','.join(map(str, index))}]" if index else name


def checked_index(index: Index, shape: tuple[int, ...], name: str) -> None:
    """Refuse an index that is not one element of `shape`.

    Raises:
        TraceError: it is not.
    """
    if len(index) != len(shape) or not all(-n <= i < n for i, n in zip(index, shape, strict=True)):
        example = element(name, (0,) * len(shape))
        raise TraceError(
            f"{element(name, index)} is not an element of a tensor of shape {shape}; "
            f"{example} is one"
        )


def shared_index(indices: list[Index]) -> str:
    """Several indices as one: the axes along which they differ are called k.

    >>> shared_index([(0, 0), (0, 1), (0, 2)])
    '[0,k]'
    """
    axes = [set(values) for values in zip(*indices, strict=True)]
    shown = [str(*values) if len(values) == 1 else "k" for values in axes]
    return f"[{','.join(shown)}]" if shown else ""


def index_text(index: Any, brief: bool = False) -> str:
    """An index into an array as it is written; of an array of indices its shape.

    Args:
        index: what stood in the brackets.
        brief: leave out ellipses and the shapes of arrays.

    >>> index_text((0, slice(1, None, 2), ..., np.zeros((3, 2), int)))
    '0, 1::2, ..., array of (3, 2)'
    """
    parts = [index]
    if isinstance(index, tuple):
        parts = list(cast("tuple[Any, ...]", index))
    return ", ".join(_part_text(part, brief) for part in parts if not (brief and part is ...))


def _part_text(part: Any, brief: bool) -> str:
    if type(part) is slice:
        ends: list[Any] = [part.start, part.stop]
        if part.step is not None:
            ends.append(part.step)
        return ":".join("" if end is None else str(end) for end in ends)
    if part is ...:
        return "..."
    if brief:
        return str(part) if isinstance(part, int) else "…"
    return str(part) if np.ndim(part) == 0 else f"array of {np.shape(part)}"
