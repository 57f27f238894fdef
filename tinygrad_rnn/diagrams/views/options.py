"""What a picture was asked to be."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

from ...autograd.tensor import Array
from ...errors import DrawError
from ..grid.grid import Fold
from ..picture.theme import THEMES

_POWERS = 330  # of ten, that floats may have


@dataclass(frozen=True, slots=True)
class Options:
    """What `tinygrad_rnn.draw` was asked for.

    Raises:
        DrawError: there is no theme of that name, or a bad `fold` or `scale`.
    """

    view: str = "unrolled"
    fold: Fold = "auto"
    theme: str = "light"
    gradients: bool = False
    values: bool = False
    scale: tuple[int, int] | None = None  # powers of ten, of the gradients' colours
    of: str = ""  # what the gradients are of, where that is not the loss
    # how far each value is off from another run's, by the ids of their nodes
    against: Mapping[int, Array] | None = None
    depth: int | None = None  # levels of modules that are open

    def __post_init__(self) -> None:
        if self.theme not in THEMES:
            raise DrawError(f"no theme {self.theme!r}: use one of {', '.join(THEMES)}")
        if self.fold not in ("auto", None) and not (_is_whole(self.fold) and self.fold >= 1):
            raise DrawError(
                'fold is "auto", None or how many copies to keep at each end (at least 1), '
                f"not {self.fold!r}"
            )
        if self.depth is not None and not (_is_whole(self.depth) and self.depth >= 1):
            raise DrawError(
                f"depth is how many levels of modules are open (at least 1), not {self.depth!r}"
            )
        if self.levels > 1 and self.view != "unrolled":
            raise DrawError('depth is of view="unrolled": "ops" opens everything')
        if self.scale is not None and not _is_scale(self.scale):
            raise DrawError(
                "scale is two powers of ten, the lower one first, such as (-6, 0), "
                f"not {self.scale!r}"
            )

    @property
    def levels(self) -> int:
        """How many levels of a network with copies are open: 1 leaves the copies closed."""
        return 1 if self.depth is None else self.depth


def _is_whole(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_scale(value: Any) -> bool:
    """Whether these are two powers of ten between those of the smallest and largest float."""
    if not isinstance(value, tuple | list) or len(value) != 2 or not all(map(_is_whole, value)):
        return False
    return -_POWERS <= value[0] < value[1] <= _POWERS
