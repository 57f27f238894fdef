"""Which modules a node stood in: what the program that wrote the file says of it."""

import json
import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from itertools import takewhile
from typing import Any

from ...text import elide
from ...tracing.recording.place import places_of
from .graph import Call, Line, Node

# What our files say of a node: its calls, the outermost first, each with its number.
SCOPES = "tinygrad_rnn.scopes"
# And which line of the program it stood in, by number.
LINE = "tinygrad_rnn.line"
# Of the model: which initializers are parameters, which others were tensors, which of these each
# run makes anew, what tensors were called, which of them by a variable alone, the lines, and what
# was written: "function", "module".
TRAINED = "tinygrad_rnn.parameters"
LEAVES = "tinygrad_rnn.leaves"
FRESH = "tinygrad_rnn.fresh"
NAMES = "tinygrad_rnn.names"
VARIABLES = "tinygrad_rnn.variables"
LINES = "tinygrad_rnn.lines"
KIND = "tinygrad_rnn.kind"
_TORCH_SCOPES = "pkg.torch.onnx.name_scopes"
_TORCH_CLASSES = "pkg.torch.onnx.class_hierarchy"
_MOST_CALLS = 16
_MOST_LETTERS = 60
_MOST_SAID = 8  # lines of an equation
_LONGEST_PATH = 1000
_MOST_LINES = 200_000
_LAST_LINE = 20_000
_MOST_FILES = 64


def calls_of(name: str, metadata: Mapping[str, str]) -> tuple[Call, ...] | None:
    """The calls around a node; None where nothing says them.

    Our own files do. PyTorch writes the names of modules in the metadata, or begins the node's name
    with them: "/encoder/rnn/LSTM".
    """
    if SCOPES in metadata:
        return _ours(metadata[SCOPES])
    if _TORCH_SCOPES in metadata:
        return _of_torch(metadata[_TORCH_SCOPES], metadata.get(_TORCH_CLASSES, ""))
    return _of_name(name)


def line_of(metadata: Mapping[str, str]) -> int | None:
    """The line of the program that a node of ours stood in."""
    text = metadata.get(LINE, "")
    return int(text) if text.isdecimal() and len(text) < 10 else None


def lines_of(text: str) -> list[Line]:
    """The lines of the program that wrote a file.

    Raises:
        ValueError, TypeError: they are none.
    """
    rows = json.loads(text)
    if len(rows) > _MOST_LINES:
        raise ValueError("too many lines")
    lines = [_line(*row) for row in rows]
    if len({line.file for line in lines}) > _MOST_FILES:
        raise ValueError("too many files")
    return lines


def _line(
    file: Any, number: Any, variable: Any, is_inside: Any, places: Any = (), part_of: Any = ()
) -> Line:
    if type(number) is not int or not 0 < number <= _LAST_LINE:
        raise ValueError(f"no line {number!r:.20}")
    called = _called(variable)
    if isinstance(variable, list):
        called = [_called(part) for part in variable[:_MOST_CALLS]]
    name = elide(str(file), _MOST_LETTERS)
    parts = tuple(part_of[:_MOST_CALLS])
    if any(type(part) is not int for part in parts):
        raise ValueError(f"no part {parts!r:.20}")
    calls = places_of(places[:_MOST_CALLS])
    return Line(name, number, called, bool(is_inside), calls, parts)


def _called(variable: Any) -> str | None:
    return None if variable is None else elide(str(variable), _MOST_LETTERS)


def _ours(text: str) -> tuple[Call, ...]:
    try:
        rows = json.loads(text)
        return tuple(_call(row) for row in rows[:_MOST_CALLS])
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
        return ()  # somebody else's, or damaged: names alone are lost


def _call(row: Mapping[str, Any]) -> Call:
    states = tuple(elide(str(state), 20) for state in row.get("states", ())[:4])
    return Call(
        elide(str(row["name"]), _MOST_LETTERS),
        int(row["call"]),
        states,
        "\n".join(elide(one, 200) for one in str(row.get("equation", "")).split("\n")[:_MOST_SAID]),
        bool(row.get("scope", False)),
        elide(str(row.get("class", "")), _MOST_LETTERS),
        int(row["module"]) if "module" in row else None,
        str(row.get("path", ""))[:_LONGEST_PATH],
    )


def _of_torch(names: str, classes: str) -> tuple[Call, ...]:
    """`['', 'encoder', 'encoder.rnn', 'lstm']`: the modules by their whole names, then the node.

    The classes stand beside: `['model.Tagger', 'model.Encoder', 'torch.nn.LSTM', 'aten.lstm']`.
    """
    parts, kinds = (re.findall(r"'([^']*)'", text[:4096])[:-1] for text in (names, classes))
    kinds += [""] * (len(parts) - len(kinds))
    calls: list[Call] = []
    outer = ""
    for part, kind in zip(parts[:_MOST_CALLS], kinds, strict=False):
        if part and not part.startswith("_empty_nn_module"):  # a filler of its own
            *above, own = part.removeprefix(f"{outer}.").split(".")
            calls += [Call(elide(step, _MOST_LETTERS)) for step in above if step]
            name = kind.rpartition(".")[2]
            calls.append(Call(elide(own, _MOST_LETTERS), kind=elide(name, _MOST_LETTERS)))
            outer = part
    return tuple(calls[:_MOST_CALLS])


def _of_name(name: str) -> tuple[Call, ...] | None:
    if not name.startswith("/"):
        return None
    parts = [part for part in name[:4096].split("/")[1:-1] if part]
    return tuple(Call(elide(part, _MOST_LETTERS)) for part in parts[:_MOST_CALLS])


def placed(nodes: Sequence[Node], known: Set[str]) -> list[Node]:
    """The nodes, each in the calls that it must stand in.

    Args:
        nodes: in order; where nothing says the calls of one, its neighbours do.
        known: the names of modules, by the parameters in them: "encoder", "encoder.rnn".
    """
    numbered = [_numbered(node, known) for node in nodes]
    before: tuple[Call, ...] = ()
    after = _next_calls(numbered)
    made: list[Node] = []
    for node, following in zip(numbered, after, strict=True):
        calls = node.calls
        if calls is None:
            calls = tuple(a for a, b in takewhile(_are_one, zip(before, following, strict=False)))
            node = replace(node, calls=calls)
        made.append(node)
        before = calls
    return made


def _are_one(pair: tuple[Call, Call]) -> bool:
    return pair[0] == pair[1]


def _next_calls(nodes: Sequence[Node]) -> list[tuple[Call, ...]]:
    """For each node, the calls of the first one after it that says them."""
    following: tuple[Call, ...] = ()
    made: list[tuple[Call, ...]] = []
    for node in reversed(nodes):
        made.append(following)
        following = following if node.calls is None else node.calls
    return made[::-1]


_AGAIN = re.compile(r"(.+)_([0-9]{1,6})")


def _numbered(node: Node, known: Set[str]) -> Node:
    """A node whose "cell_2" is the second call after the first of "cell", if that is a module."""
    if not node.calls:
        return node
    path, calls = "", list[Call]()
    for call in node.calls:
        again = _AGAIN.fullmatch(call.name)
        whole = f"{path}.{call.name}".lstrip(".")
        if again and whole not in known and f"{path}.{again[1]}".lstrip(".") in known:
            call = replace(call, name=again[1], number=int(again[2]))
            whole = f"{path}.{call.name}".lstrip(".")
        calls.append(call)
        path = whole
    return replace(node, calls=tuple(calls))
