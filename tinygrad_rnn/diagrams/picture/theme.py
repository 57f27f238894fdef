"""What each colour of a picture is for, and the themes that say which colour that is.

Shapes, edges and texts hold *roles*. A theme turns a role into a colour when the picture is
written, so the same drawing serves every theme, and a page can restyle it.

- "background", "text", "muted" (what explains), "message" (what is handed on in time), "backward";
- "alarm": NaN and infinity;
- "panel.fill", "panel.border" of a column; the same two of "input", "output", "state" and "loss",
  and of "cell.0", "cell.1" …, the copies of each row; "loss.text";
- "chip.0", "chip.1" …: the parameters in their order; "chip.constant"; "chip.text";
- "ramp.0" to "ramp.5": gradients from small to large;
- "heat.low", "heat.zero", "heat.high", and between them "heat.-0.25": a value as its share of the
  largest one.

Numbers above those of a theme start again at its first, chips in another shade.

Light and dark are from Okabe and Ito's palette for the colour-blind; print is grey. No theme tells
two things apart by colour alone: messages are wider than other edges, initial states dashed.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

RAMP_STEPS = 6

HEAT_ENDS = "heat.low", "heat.zero", "heat.high"
_NUMBERED = re.compile(r"(?P<kind>\w+)\.(?P<number>\d+)(?P<part>(\.\w+)?)")

Role = str


class Palette(Protocol):
    """Turns the roles of a picture into colours."""

    def color(self, role: Role) -> str:
        """Return the colour of a role, as "#RRGGBB"."""
        ...


@dataclass(frozen=True, slots=True)
class Theme:
    """The colour of each role; `series` holds those of numbered roles, their number left out."""

    name: str
    single: Mapping[str, str]
    series: Mapping[str, tuple[str, ...]]

    def color(self, role: Role) -> str:
        """Return the colour of a role, as "#RRGGBB".

        >>> LIGHT.color("cell.5.fill"), LIGHT.color("heat.-0.5")
        ('#DDE6F6', '#80B8D8')
        """
        if role in self.single:
            return self.single[role]
        if is_share(role):
            return self._mixed(*heat_mix(role))
        numbered = _NUMBERED.fullmatch(role)
        if numbered is None:
            raise KeyError(role)
        colors = self.series[numbered["kind"] + numbered["part"]]
        turn, place = divmod(int(numbered["number"]), len(colors))
        if numbered["kind"] == "chip":
            return _shade(colors[place], turn)
        return colors[place]

    def _mixed(self, end: Role, share: float) -> str:
        zero, full = self.single["heat.zero"], self.single[end]
        parts = ((int(zero[k : k + 2], 16), int(full[k : k + 2], 16)) for k in (1, 3, 5))
        return "#" + "".join(f"{round(a + (b - a) * share):02X}" for a, b in parts)


# What the colours of chips are mixed with from one round through them to the next, and how much.
_SHADES = ((0, 0.0), (255, 0.5), (0, 0.22), (255, 0.72), (0, 0.1))


def _shade(color: str, turn: int) -> str:
    """Return a colour lighter or darker: another for each of the first rounds."""
    end, share = _SHADES[turn % len(_SHADES)]
    parts = (int(color[k : k + 2], 16) for k in (1, 3, 5))
    return "#" + "".join(f"{round(part + (end - part) * share):02X}" for part in parts)


def is_share(role: Role) -> bool:
    """Whether a role is that of a value, between two ends of the scale."""
    return role.startswith("heat.") and role not in HEAT_ENDS


def heat_mix(role: Role) -> tuple[Role, float]:
    """Which end of the scale a value's role is mixed of with "heat.zero", and how much of it.

    >>> heat_mix("heat.-0.25")
    ('heat.low', 0.25)
    """
    share = float(role.removeprefix("heat."))
    end = "heat.low" if share < 0 else "heat.high"
    return end, min(abs(share), 1.0)


_CHIPS = ("#56B4E9", "#CC79A7", "#F0E442", "#E69F00", "#7FCDAF", "#B8A9E0", "#F2A58A", "#BFC5CE")

LIGHT = Theme(
    name="light",
    single={
        "background": "#FFFFFF",
        "text": "#222222",
        "muted": "#8A8A8A",
        "panel.fill": "#F6F7F9",
        "panel.border": "#D9DDE3",
        "input.fill": "#CFE5F6",
        "input.border": "#0072B2",
        "output.fill": "#FCE5BF",
        "output.border": "#B87A00",
        "state.fill": "#FFFFFF",
        "state.border": "#8A8A8A",
        "loss.fill": "#D55E00",
        "loss.border": "#D55E00",
        "loss.text": "#FFFFFF",
        "chip.text": "#222222",
        "chip.constant": "#E3E6EA",
        "message": "#0072B2",
        "backward": "#D55E00",
        "alarm": "#B0007A",
        "heat.low": "#0072B2",
        "heat.zero": "#FFFFFF",
        "heat.high": "#D55E00",
    },
    series={
        "cell.fill": ("#D8EFE6", "#DDE6F6", "#F3E1EE", "#ECEACB"),
        "cell.border": ("#007A5A", "#3F66B0", "#96508A", "#7A7317"),
        "chip": _CHIPS,
        "ramp": ("#F6C48F", "#F09E52", "#E2711D", "#BC4B09", "#8A2E04", "#541800"),
    },
)

DARK = Theme(
    name="dark",
    single={
        "background": "#14171C",
        "text": "#ECEFF4",
        "muted": "#8D96A5",
        "panel.fill": "#1C2129",
        "panel.border": "#323A46",
        "input.fill": "#1E4460",
        "input.border": "#56B4E9",
        "output.fill": "#5A4210",
        "output.border": "#E69F00",
        "state.fill": "#14171C",
        "state.border": "#8D96A5",
        "loss.fill": "#FF8A4C",
        "loss.border": "#FF8A4C",
        "loss.text": "#14171C",
        "chip.text": "#222222",
        "chip.constant": "#B9C0CA",
        "message": "#56B4E9",
        "backward": "#FF8A4C",
        "alarm": "#FF7AC6",
        "heat.low": "#56B4E9",
        "heat.zero": "#14171C",
        "heat.high": "#FF8A4C",
    },
    series={
        "cell.fill": ("#114A3A", "#1B3358", "#472343", "#3D3A14"),
        "cell.border": ("#2FBF91", "#7FA6F0", "#D996CC", "#CDC35E"),
        "chip": _CHIPS,
        "ramp": ("#5A3A22", "#8A4F22", "#B9661F", "#E2822B", "#FFB067", "#FFE0BF"),
    },
)

PRINT = Theme(
    name="print",
    single={
        "background": "#FFFFFF",
        "text": "#000000",
        "muted": "#666666",
        "panel.fill": "#FFFFFF",
        "panel.border": "#BBBBBB",
        "input.fill": "#FFFFFF",
        "input.border": "#000000",
        "output.fill": "#E4E4E4",
        "output.border": "#000000",
        "state.fill": "#FFFFFF",
        "state.border": "#666666",
        "loss.fill": "#333333",
        "loss.border": "#333333",
        "loss.text": "#FFFFFF",
        "chip.text": "#000000",
        "chip.constant": "#FFFFFF",
        "message": "#000000",
        "backward": "#555555",
        "alarm": "#000000",
        "heat.low": "#000000",
        "heat.zero": "#999999",
        "heat.high": "#FFFFFF",
    },
    series={
        "cell.fill": ("#F0F0F0", "#D6D6D6", "#E3E3E3", "#C8C8C8"),
        "cell.border": ("#000000", "#000000", "#000000", "#000000"),
        "chip": ("#FFFFFF", "#E4E4E4", "#CCCCCC", "#B4B4B4"),
        "ramp": ("#D0D0D0", "#B0B0B0", "#8C8C8C", "#686868", "#404040", "#000000"),
    },
)

THEMES = {theme.name: theme for theme in (LIGHT, DARK, PRINT)}
