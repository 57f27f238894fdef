"""The well-known drawings of the RNN, the LSTM and the GRU: which op plays which role, and where.

A pattern names the roles of a cell and what each reads. It is matched against the ops that were
recorded, so any cell that computes the same is drawn the same, whoever wrote it; one that does not
match is laid out by Graphviz. To add a drawing, write its pattern, and a function that returns its
layout under `@_drawing`.

Coordinates are points; the state line that the copies share is a horizontal, and wires are
orthogonal: from the middle of one part over the points given here to the middle of the next.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import permutations
from typing import NamedTuple

from ..picture.shapes import Point
from .anatomy import Inlet, Part

# role -> what it may be: an op, and the roles it reads. "@h", "@c", "@x" are what enters.
Pattern = dict[str, tuple[tuple[str, ...], ...]]

_COMMUTATIVE = ("add", "mul")
STATES = ("h", "c")


def _products(total: str) -> Pattern:
    """W_xh x + W_hh h, with or without a bias."""
    return {total: (("add", "xw", "hw"),), "xw": (("linear", "@x"),), "hw": (("linear", "@h"),)}


ELMAN: Pattern = _products("sum") | {"h": (("tanh", "sum"), ("relu", "sum"), ("sigmoid", "sum"))}

LSTM: Pattern = _products("z") | {
    "h": (("mul", "o", "squash"),),
    "squash": (("tanh", "c"),),
    "c": (("add", "keep", "write"),),
    "keep": (("mul", "f", "@c"),),
    "write": (("mul", "i", "g"),),
    "g": (("tanh", "z"),),
    "f": (("sigmoid", "z"), ("sigmoid", "f+")),
    "i": (("sigmoid", "z"), ("sigmoid", "i+"), ("sub", "f")),
    "o": (("sigmoid", "z"), ("sigmoid", "o+")),
    "f+": (("add", "z", "fw"),),
    "i+": (("add", "z", "iw"),),
    "o+": (("add", "z", "ow"),),
    "fw": (("mul", "@c"),),
    "iw": (("mul", "@c"),),
    "ow": (("mul", "c"),),
}

GRU: Pattern = {
    "h": (("add", "write", "keep"),),
    "write": (("mul", "1-z", "n"),),
    "1-z": (("sub", "z"),),
    "keep": (("mul", "z", "@h"),),
    "n": (("tanh", "n+"),),
    "z": (("sigmoid", "z+"),),
    "z+": (("add", "xw", "hw"),),
    "r": (("sigmoid", "r+"),),
    "r+": (("add", "xw", "hw"),),
    "n+": (("add", "xw", "reset"), ("add", "xw", "nw")),
    "reset": (("mul", "r", "hw"), ("mul", "r", "@h")),
    "nw": (("linear", "reset"),),
    "xw": (("linear", "@x"),),
    "hw": (("linear", "@h"),),
}


@dataclass(frozen=True, slots=True)
class Layout:
    """Where each role stands, which way each wire goes, and where values enter and leave."""

    size: tuple[float, float]
    at: Mapping[str, Point]
    via: Mapping[tuple[str, str], list[Point]]
    states: Mapping[int, float]  # the height at which each state passes through
    entry: float  # where x comes in from below
    exit: list[Point]  # from h to the upper edge
    names: Mapping[str, str]  # what stands beside a gate
    leave: Mapping[int, list[Point]]  # from each state to the right edge: points on the way


# `(parts, widths, air)`: the part of each role, how wide each is drawn, and how much farther apart
# the closest of them stand than they need to.
Arrange = Callable[[Mapping[str, Part], Mapping[str, float], float], Layout]


class Canonical(NamedTuple):
    """A well-known cell: how it is recognised, and how it is drawn."""

    name: str
    pattern: Pattern
    layout: Arrange


_CANONICAL: list[Canonical] = []


def _drawing(name: str, pattern: Pattern) -> Callable[[Arrange], Arrange]:
    """Register a function as the layout of the cells that match a pattern."""

    def register(layout: Arrange) -> Arrange:
        _CANONICAL.append(Canonical(name, pattern, layout))
        return layout

    return register


def recognised(parts: list[Part], last: Part) -> tuple[Canonical, dict[str, Part]] | None:
    """Return the kind of cell that computes its first state by `last`, and the part of each role.

    None if no kind is known that these parts are, all of them.
    """
    for canonical in _CANONICAL:
        for roles in _matches(canonical.pattern, "h", last, {}):
            if len(set(roles.values())) == len(parts):
                return canonical, roles
    return None


def _matches(
    pattern: Pattern, role: str, source: Part | Inlet, found: dict[str, Part]
) -> Iterator[dict[str, Part]]:
    """Yield each way to give `role` to `source`, and the roles that follow for what it reads."""
    if role.startswith("@"):
        if isinstance(source, Inlet) and role == inlet_role(source):
            yield found
        return
    if isinstance(source, Inlet):
        return
    if role in found or source in found.values():
        if found.get(role) is source:
            yield found
        return
    sources = [read.source for read in source.reads]
    for op, *roles in pattern[role]:
        if op != source.op or len(roles) != len(sources):
            continue
        orders = permutations(roles) if op in _COMMUTATIVE else [roles]
        for order in orders:
            pairs = list(zip(order, sources, strict=True))
            yield from _all_match(pattern, pairs, found | {role: source})


def _all_match(
    pattern: Pattern, pairs: list[tuple[str, Part | Inlet]], found: dict[str, Part]
) -> Iterator[dict[str, Part]]:
    if not pairs:
        yield found
        return
    (role, source), *others = pairs
    for match in _matches(pattern, role, source, found):
        yield from _all_match(pattern, others, match)


def inlet_role(inlet: Inlet) -> str:
    """Return what a pattern calls a value that enters: "@x", "@h", "@c"; "" for a third state."""
    if not inlet.state:
        return "@x"
    return f"@{STATES[inlet.place]}" if inlet.place < len(STATES) else ""


@_drawing("elman", ELMAN)
def _elman(roles: Mapping[str, Part], widths: Mapping[str, float], air: float) -> Layout:
    gap = 20.0 + air
    xs: dict[str, float] = {}
    x = 0.0
    for role in ("hw", "sum", "h"):
        xs[role] = x + gap + widths[role] / 2
        x += gap + widths[role]
    right, line = x + 30.0, 84.0
    at = {role: (x, line) for role, x in xs.items()} | {"xw": (xs["sum"], 30.0)}
    exit = [(xs["h"], line + 40.0)]
    return Layout((right, line + 40.0), at, {}, {0: line}, xs["sum"], exit, {}, {})


_GATE_GAP = 26.0


@_drawing("lstm", LSTM)
def _lstm(roles: Mapping[str, Part], widths: Mapping[str, float], air: float) -> Layout:
    bus, gates = 84.0, 128.0
    if "fw" in roles or "ow" in roles:  # room for what the gates read of the cell state
        gates = 164.0 + air
    top = gates + 124.0 + 2 * air
    x = 20.0 + widths["hw"] / 2
    at = {"hw": (x, bus)}
    x += widths["hw"] / 2 + 20.0 + air + widths["z"] / 2
    at |= {"z": (x, bus), "xw": (x, 30.0)}
    x += max(widths["z"], widths["xw"]) / 2
    column: dict[str, float] = {}
    for role in ("f", "i", "g", "o"):
        if role + "w" in roles:
            at[role + "w"] = (x + 16.0 + widths[role + "w"] / 2, bus + 40.0)
            x += 16.0 + widths[role + "w"]
        column[role] = x + _GATE_GAP + 22.0
        x = column[role] + 22.0
        at[role] = (column[role], gates)
        if role + "+" in roles:
            at[role + "+"] = (column[role], bus + 40.0)
    coupled = roles["i"].op == "sub"
    squash = column["o"] + 52.0
    middle = gates + 62.0 + air
    at |= {"keep": (column["f"], top), "write": (column["g"], middle), "c": (column["g"], top)}
    at |= {"squash": (squash, middle + 16.0 + air), "h": (squash, gates + 32.0 + air)}
    if coupled:
        at["i"] = (column["i"], middle)
    via = _lstm_wires(roles, at, column, bus, top)
    right = squash + 56.0
    height = top + 28.0 + air
    exit = [(right - 22.0, at["h"][1]), (right - 22.0, height)]
    names = {role: f"{role}ₜ" for role in ("f", "i", "g", "o")}
    if coupled:
        del names["i"]
    leave = {0: [(squash, bus)]}
    return Layout((right, height), at, via, {0: bus, 1: top}, at["xw"][0], exit, names, leave)


def _lstm_wires(
    roles: Mapping[str, Part],
    at: Mapping[str, Point],
    column: Mapping[str, float],
    bus: float,
    top: float,
) -> dict[tuple[str, str], list[Point]]:
    via: dict[tuple[str, str], list[Point]] = {}
    for role in ("f", "i", "g", "o"):
        via["z", role] = via["z", role + "+"] = [(column[role], bus)]
    via["i", "write"] = [(column["i"], at["write"][1])]
    via["f", "i"] = [(column["f"], at["write"][1])]
    via["o", "h"] = [(column["o"], at["h"][1])]
    via["c", "squash"] = [(at["squash"][0], top)]
    if "fw" in roles:
        x = at["fw"][0]
        via["@c", "fw"] = [(x, top)]
        if "iw" in at:
            via["@c", "iw"] = [(x, top), (x, top - 36.0), (at["iw"][0], top - 36.0)]
    if "ow" in roles:
        via["c", "ow"] = [(at["ow"][0], top)]
    return via


@_drawing("gru", GRU)
def _gru(roles: Mapping[str, Part], widths: Mapping[str, float], air: float) -> Layout:
    x_bus, h_bus, sums = 30.0, 84.0, 126.0
    if "nw" in roles:
        sums += 2 * air
    gates, middle, top = sums + 40.0 + 2 * air, sums + 88.0 + 3 * air, sums + 136.0 + 3 * air
    height = top + 28.0 + air
    branch = 16.0
    first = branch + 20.0
    at = {"xw": (first + widths["xw"] / 2, x_bus), "hw": (first + widths["hw"] / 2, h_bus)}
    z = first + max(widths["xw"], widths["hw"]) + 64.0
    r = z + 80.0
    reset = r + 76.0
    n = reset + 56.0
    if "nw" in roles:
        at["nw"] = (reset + 30.0 + widths["nw"] / 2, sums)
        n = reset + 30.0 + widths["nw"] + 46.0
    at |= {"z+": (z, sums), "z": (z, gates), "keep": (z, top), "1-z": (r, middle)}
    at |= {"r+": (r, sums), "r": (r, gates), "reset": (reset, sums)}
    at |= {"n+": (n, sums), "n": (n, gates), "write": (n, middle), "h": (n, top)}
    via = {
        ("@h", "hw"): [(branch, top), (branch, h_bus)],
        ("hw", "z+"): [(z - 30.0, h_bus), (z - 30.0, sums)],
        ("hw", "r+"): [(r - 30.0, h_bus), (r - 30.0, sums)],
        ("hw", "reset"): [(reset, h_bus)],
        ("@h", "reset"): [(branch, top), (branch, h_bus + 24.0), (reset, h_bus + 24.0)],
        ("r", "reset"): [(reset, gates)],
        ("z", "1-z"): [(z, middle)],
    }
    via |= {("xw", role): [(x, x_bus)] for role, x in (("z+", z), ("r+", r), ("n+", n))}
    right = n + 64.0
    exit = [(n + 34.0, top), (n + 34.0, height)]
    names = {"z": "zₜ", "r": "rₜ", "n": "nₜ"}
    return Layout((right, height), at, via, {0: top}, at["xw"][0], exit, names, {})
