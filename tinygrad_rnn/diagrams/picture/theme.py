"""The colours: light and dark from Okabe and Ito's palette for the colour-blind, and grey for print.

No theme tells two things apart by colour alone: messages are wider than other edges, initial states
dashed.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Paint:
    """The inside and the outline of a shape."""

    fill: str
    line: str


@dataclass(frozen=True, slots=True)
class Theme:
    """Every colour of a picture, as "#RRGGBB"; sequences are used in order and start again at their end."""

    name: str
    background: str
    text: str
    muted: str
    panel: Paint
    input: Paint
    output: Paint
    state: Paint
    loss: Paint
    loss_text: str
    cells: tuple[Paint, ...]  # one per row
    message: str
    backward: str
    parameters: tuple[str, ...]  # one per parameter
    parameter_text: str
    ramp: tuple[str, ...]  # small to large, monotone in lightness
    alarm: str  # NaN and infinity
    heat: tuple[str, str, str]  # the lowest value, zero, the highest

    def cell(self, row: int) -> Paint:
        return self.cells[row % len(self.cells)]

    def parameter(self, index: int) -> str:
        return self.parameters[index % len(self.parameters)]


_CHIPS = ("#56B4E9", "#CC79A7", "#F0E442", "#E69F00", "#7FCDAF", "#B8A9E0", "#F2A58A", "#BFC5CE")

LIGHT = Theme(
    name="light",
    background="#FFFFFF",
    text="#222222",
    muted="#8A8A8A",
    panel=Paint("#F6F7F9", "#D9DDE3"),
    input=Paint("#CFE5F6", "#0072B2"),
    output=Paint("#FCE5BF", "#B87A00"),
    state=Paint("#FFFFFF", "#8A8A8A"),
    loss=Paint("#D55E00", "#D55E00"),
    loss_text="#FFFFFF",
    cells=(Paint("#D8EFE6", "#007A5A"), Paint("#DDE6F6", "#3F66B0")),
    message="#0072B2",
    backward="#D55E00",
    parameters=_CHIPS,
    parameter_text="#222222",
    ramp=("#F6C48F", "#F09E52", "#E2711D", "#BC4B09", "#8A2E04", "#541800"),
    alarm="#B0007A",
    heat=("#0072B2", "#FFFFFF", "#D55E00"),
)

DARK = Theme(
    name="dark",
    background="#14171C",
    text="#ECEFF4",
    muted="#8D96A5",
    panel=Paint("#1C2129", "#323A46"),
    input=Paint("#1E4460", "#56B4E9"),
    output=Paint("#5A4210", "#E69F00"),
    state=Paint("#14171C", "#8D96A5"),
    loss=Paint("#FF8A4C", "#FF8A4C"),
    loss_text="#14171C",
    cells=(Paint("#114A3A", "#2FBF91"), Paint("#1B3358", "#7FA6F0")),
    message="#56B4E9",
    backward="#FF8A4C",
    parameters=_CHIPS,
    parameter_text="#222222",
    ramp=("#5A3A22", "#8A4F22", "#B9661F", "#E2822B", "#FFB067", "#FFE0BF"),
    alarm="#FF7AC6",
    heat=("#56B4E9", "#14171C", "#FF8A4C"),
)

PRINT = Theme(
    name="print",
    background="#FFFFFF",
    text="#000000",
    muted="#666666",
    panel=Paint("#FFFFFF", "#BBBBBB"),
    input=Paint("#FFFFFF", "#000000"),
    output=Paint("#E4E4E4", "#000000"),
    state=Paint("#FFFFFF", "#666666"),
    loss=Paint("#333333", "#333333"),
    loss_text="#FFFFFF",
    cells=(Paint("#F0F0F0", "#000000"), Paint("#D6D6D6", "#000000")),
    message="#000000",
    backward="#555555",
    parameters=("#FFFFFF", "#E4E4E4", "#CCCCCC", "#B4B4B4"),
    parameter_text="#000000",
    ramp=("#D0D0D0", "#B0B0B0", "#8C8C8C", "#686868", "#404040", "#000000"),
    alarm="#000000",
    heat=("#000000", "#999999", "#FFFFFF"),
)

THEMES = {theme.name: theme for theme in (LIGHT, DARK, PRINT)}
