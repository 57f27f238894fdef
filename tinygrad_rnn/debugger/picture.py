"""The debugger's screen as a picture, for a page or a report."""

import asyncio
import os
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from unittest.mock import patch

from ..errors import DrawError
from ..files import write_atomic
from ..tracing.trace import Trace
from .session import Session

# Rich's SVG asks another site for its font; a reader's own monospaced one does as well.
_FONT_FACE = re.compile(r"@font-face \{[^}]*\}\s*")
_COLUMNS, _ROWS = range(40, 301), range(10, 121)


@dataclass(frozen=True, slots=True, repr=False)
class Picture:
    """A screen as SVG, whose letters are text; a notebook shows it."""

    svg: str

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the SVG to a file, whole or not at all."""
        write_atomic(path, self.svg.encode())

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return {"image/svg+xml": self.svg, "text/plain": repr(self)}

    def __repr__(self) -> str:
        return f"<the debugger's screen as SVG, {len(self.svg)} characters>"


def picture(
    trace: Trace, commands: Sequence[str] = (), *, columns: int = 96, rows: int = 30
) -> Picture:
    """Open the debugger's screen on a recorded run, run some commands, and draw the screen.

    Args:
        trace: the run.
        commands: as on the `:` line.
        columns: of the terminal, 40 to 300.
        rows: of the terminal, 10 to 120.

    Raises:
        TraceError: nothing was recorded.
        DrawError: another size.
    """
    if columns not in _COLUMNS or rows not in _ROWS:
        raise DrawError(
            f"picture: a screen has 40 to 300 columns and 10 to 120 rows, got {columns} × {rows}"
        )
    session = Session(trace)
    # In a thread of its own, since a notebook has an event loop that is running.
    with ThreadPoolExecutor(1) as thread:
        svg = thread.submit(asyncio.run, _drawn(session, commands, (columns, rows))).result()
    return Picture(_FONT_FACE.sub("", svg))


async def _drawn(session: Session, commands: Sequence[str], size: tuple[int, int]) -> str:
    import textual.app
    from rich.console import Console

    from .app import Debugger

    app = Debugger(session)
    async with app.run_test(size=size) as pilot:
        for command in commands:
            app.execute(command)
            await pilot.pause()
        await pilot.pause()
        # In a notebook Rich would display what it records, as well as record it.
        silent = partial(Console, force_jupyter=False)
        with patch.object(textual.app, "Console", silent):
            return app.export_screenshot(title="tinygrad-rnn debug")
