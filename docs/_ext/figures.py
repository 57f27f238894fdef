"""Figures that follow the reader's dark mode.

Pictures are drawn in the light theme. A style of its own tells a browser the dark theme's colour of
each colour in the file; whatever knows no styles still shows the light picture.
"""

import re
from functools import cache
from pathlib import Path

from sphinx.application import Sphinx

from tinygrad_rnn.diagrams.picture.theme import DARK, LIGHT

# As attributes in our pictures, as styles in matplotlib's charts.
_COLOR = re.compile(r'\b(fill|stroke)(="|: )(#[0-9A-Fa-f]{6})\b')
_HEAT_STEPS = 128


@cache
def _dark_colors() -> dict[str, str]:
    """The dark colour of each light one."""
    roles = list(LIGHT.single)
    for kind, colors in LIGHT.series.items():
        name, _, part = kind.partition(".")
        roles += [f"{name}.{i}" + (f".{part}" if part else "") for i in range(len(colors))]
    roles += [f"heat.{k / _HEAT_STEPS}" for k in range(-_HEAT_STEPS, _HEAT_STEPS + 1)]
    roles.remove("chip.text")  # dark text on a light chip, in either theme
    return {LIGHT.color(role).lower(): DARK.color(role) for role in reversed(roles)}


def _selected(name: str, given: str, color: str) -> str:
    return f'{name}="{color}"' if given == '="' else f'style*="{name}: {color}"'


def with_dark_mode(svg: str) -> str:
    """The same picture with a style for dark mode."""
    dark = _dark_colors()
    used = dict.fromkeys((name, given, color.lower()) for name, given, color in _COLOR.findall(svg))
    rules = [
        f"[{_selected(name, given, color)} i]{{{name}:{dark[color]}!important}}"
        for name, given, color in used
        if color in dark
    ]
    on_chip = _selected("fill", '="', LIGHT.color("chip.text"))
    dark_text = DARK.color("chip.text")
    for part in ("parameter", "chip"):
        rules.append(f".{part} text[{on_chip} i]{{fill:{dark_text}!important}}")
    style = f"<style>@media (prefers-color-scheme: dark){{{''.join(rules)}}}</style>"
    return re.sub(r"(<svg[^>]*>)", rf"\1{style}", svg, count=1)


def _convert(app: Sphinx, exception: Exception | None) -> None:
    if exception is not None:
        return
    for path in Path(app.outdir, "_images").glob("*.svg"):
        svg = path.read_text("utf-8")
        if "prefers-color-scheme" not in svg:
            path.write_text(with_dark_mode(svg), "utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("build-finished", _convert)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
