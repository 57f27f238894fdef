"""What a recording holds in memory."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from .trace import Event


@dataclass(frozen=True, slots=True)
class Memory:
    """How many events there are, the bytes of the arrays they hold, and of those computed again when asked for."""

    events: int
    held: int
    recomputable: int

    def __str__(self) -> str:
        return f"{_size(self.held)} held · {_size(self.recomputable)} recomputable"

    @classmethod
    def of(cls, events: "Iterable[Event]") -> "Memory":
        """Count every array once, whoever shares it."""
        arrays: dict[int, int] = {}
        count = recomputable = 0
        for event in events:
            count += 1
            for value in (event.value, event.cotangent, *_of_node(event)):
                if isinstance(value, np.ndarray):
                    owner = _owner(value)
                    arrays[id(owner)] = getattr(owner, "nbytes", value.nbytes)
            if event.kind == "vjp" and event.value is None and event.output is not None:
                recomputable += event.output.data.nbytes
        return cls(count, sum(arrays.values()), recomputable)


def _of_node(event: "Event") -> tuple[Any, ...]:
    return (event.output.data, *event.output.operands) if event.output is not None else ()


def _owner(view: Any) -> Any:
    """What holds the memory that an array looks at."""
    return view if view.base is None else view.base


def _size(count: int) -> str:
    """A number of bytes as people read it.

    >>> _size(512), _size(96 * 2**20)
    ('0.5 KiB', '96 MiB')
    """
    value, unit = (count / 2**20, "MiB") if count >= 2**20 else (count / 2**10, "KiB")
    return f"{value:.3g} {unit}"
