"""A page in a frame of its own within another page, that of a notebook say."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from ...text import for_xml

HEIGHT_MOST = 3000  # pixels

# The page in the frame says how high it is. The frame only grows: what is below it should not jump.
_FIT = """
addEventListener("message", ({ source, data }) => {
  const height = Math.min(Number(data?.tinygradPlayerHeight) || 0, %d);
  for (const frame of document.querySelectorAll("iframe.tinygrad-player-frame[data-fit]")) {
    if (frame.contentWindow === source && height > Number(frame.height)) frame.height = height;
  }
});
"""


@dataclass(frozen=True, slots=True)
class Frame:
    """An HTML page that a notebook shows inline.

    It is in a frame that may run the page's own script, and reaches nothing of the notebook.
    """

    page: str
    title: str
    height: int  # pixels
    fits: bool  # whether it grows to the height of the page
    still: Callable[[], Mapping[str, str]]  # the picture by its formats, for what plays no pages

    def __repr__(self) -> str:
        return f"<Player: {self.title}>"

    def _repr_mimebundle_(
        self, include: Collection[str] | None = None, exclude: Collection[str] | None = None
    ) -> dict[str, str]:
        """Return the page, and the picture as it stands still for LaTeX and whatever is printed."""
        bundle = {"text/html": self._repr_html_(), **self.still(), "text/plain": repr(self)}
        return {
            format: shown
            for format, shown in bundle.items()
            if (not include or format in include) and format not in (exclude or ())
        }

    def _repr_html_(self) -> str:
        # `for_xml` would make visible what stands in the page as it has to, its line ends say.
        page = self.page.replace("&", "&amp;").replace('"', "&quot;")
        fit = " data-fit" * self.fits
        frame = (
            f'<iframe class="tinygrad-player-frame"{fit} title="{for_xml(self.title)}" '
            f'sandbox="allow-scripts" width="100%" height="{self.height}" frameborder="0" '
            f'srcdoc="{page}"></iframe>'
        )
        # It listens before the frame is there, which may speak at once.
        return f"<script>{_FIT % HEIGHT_MOST}</script>\n" * self.fits + frame
