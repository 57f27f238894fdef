"""What a picture was asked to be."""

from dataclasses import dataclass

from ...errors import DrawError
from ..grid.grid import Fold
from ..picture.theme import THEMES


@dataclass(frozen=True, slots=True)
class Options:
    """What `tinygrad_rnn.draw` was asked for.

    Raises:
        DrawError: there is no theme of that name, or `fold` is not "auto", None or a positive int.
    """

    view: str = "unrolled"
    fold: Fold = "auto"
    theme: str = "light"
    gradients: bool = False
    values: bool = False

    def __post_init__(self) -> None:
        if self.theme not in THEMES:
            raise DrawError(f"no theme {self.theme!r}: use one of {', '.join(THEMES)}")
        if self.fold == "auto" or self.fold is None:
            return
        if not isinstance(self.fold, int) or isinstance(self.fold, bool) or self.fold < 1:
            raise DrawError(
                'fold is "auto", None or how many copies to keep at each end (at least 1), '
                f"not {self.fold!r}"
            )
