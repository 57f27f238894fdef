"""What a picture was asked to be."""

from dataclasses import dataclass

from ...errors import DrawError
from ..grid.grid import Fold
from ..picture.theme import THEMES


@dataclass(frozen=True, slots=True)
class Options:
    """What `tinygrad_rnn.draw` was asked for.

    Raises:
        DrawError: there is no theme of that name.
    """

    view: str = "unrolled"
    fold: Fold = "auto"
    theme: str = "light"
    gradients: bool = False
    values: bool = False

    def __post_init__(self) -> None:
        if self.theme not in THEMES:
            raise DrawError(f"no theme {self.theme!r}: use one of {', '.join(THEMES)}")
