"""The player: a picture as one HTML file that steps through the recorded run, forward and backward.

`score` decides what there is to play, `tensors` and `ledger` what there is to look at, `picture`
makes the SVG fit a page, `page` puts it all into one file. What happens in the browser is in
`player.js`.
"""

from .page import to_html

__all__ = ["to_html"]
