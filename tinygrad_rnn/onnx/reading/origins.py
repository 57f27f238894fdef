"""What a group of nodes was written from: one of our ops, or a call of one of our layers.

An op that ONNX lacks in our form becomes several nodes in the file, and a layer becomes a node and
those that turn its axes. Our own files say of each group what it was. That is text in a file: it is
believed only where the same nodes come out when it is written once more.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...autograd.tensor import Array
from ...tracing.file.options import counted, dtype_named, plain, restored, typed

# The number of the group that a node belongs to; and on its last node, what it was written from.
GROUP = "tinygrad_rnn.group"
ORIGIN = "tinygrad_rnn.origin"
_MOST_LETTERS = 2**22
_MOST_BYTES = 2**20  # of the arrays among the options of one op
_MOST_OPERANDS = 100_000


@dataclass(frozen=True, slots=True)
class Given:
    """A value that the group reads: the number of it among all that it reads, each counted once."""

    number: int


@dataclass(frozen=True, slots=True)
class OpOrigin:
    """One op of ours.

    Args:
        op: its name.
        operands: one for each input: a value, or a Python number.
        options: the op's other arguments; in place of a tensor's values stands which value it is.
        is_recorded: whether its result required a gradient, if an operand did.
    """

    op: str
    operands: tuple[Any, ...]
    options: Mapping[str, Any]
    is_recorded: bool = True


@dataclass(frozen=True, slots=True)
class LayerOrigin:
    """A call of a recurrent layer.

    Args:
        kind: "rnn", "lstm" or "gru".
        config: the arguments that make such a layer, but for its sizes and dtype.
        xs: the sequences.
        shape: theirs.
        states: the initial ones; none where they are zeros.
        lengths: of the sequences, where they differ.
        outputs: ys, then the states after the last step: the number of each among all that the
            group makes, None for one that nobody reads.
    """

    kind: str
    config: Mapping[str, Any]
    xs: Given
    shape: tuple[int, ...]
    states: tuple[Given, ...]
    lengths: Given | None
    outputs: tuple[int | None, ...]


Origin = OpOrigin | LayerOrigin


def written(origin: Origin, given: Mapping[int, Given]) -> str:
    """An origin as text.

    Args:
        origin: to be written.
        given: id of an array -> the value that it is, for the options that are a tensor's values.

    Raises:
        ValueError: the arrays in it are too large to stand beside the nodes.
    """
    if isinstance(origin, LayerOrigin):
        facts = {
            "layer": origin.kind,
            "config": dict(origin.config),
            "xs": origin.xs.number,
            "shape": list(origin.shape),
            "states": [state.number for state in origin.states],
            "lengths": None if origin.lengths is None else origin.lengths.number,
            "outputs": list(origin.outputs),
        }
        return json.dumps(facts)
    arrays: list[Any] = []

    def number_of(array: Any) -> int:
        value = given.get(id(array))
        arrays.append(_array_row(array) if value is None else value.number)
        return len(arrays) - 1

    facts = {
        "op": origin.op,
        "operands": [_operand_row(x) for x in origin.operands],
        "options": {name: plain(value, number_of) for name, value in origin.options.items()},
        "arrays": arrays,
        "recorded": origin.is_recorded,
    }
    text = json.dumps(facts)
    if len(text) > _MOST_BYTES:
        raise ValueError("its options are too large")
    return text


def _operand_row(x: Any) -> list[Any]:
    if isinstance(x, Given):
        return ["value", x.number]
    return ["number", plain(x, _refuse_array)]


def _refuse_array(array: Any) -> int:
    raise ValueError("an operand is an array that no value is")


def _array_row(array: Array) -> list[Any]:
    if array.nbytes > _MOST_BYTES:
        raise ValueError("an array among its options is too large")
    return [array.dtype.str, list(array.shape), b64encode(array.tobytes()).decode()]


def origin_of(metadata: Mapping[str, str]) -> Origin | None:
    """What the group was written from that this node ends; None where nothing says so."""
    text = metadata.get(ORIGIN, "")
    if not text or len(text) > _MOST_LETTERS:
        return None
    try:
        facts = typed(json.loads(text), dict)
        return _layer(facts) if "layer" in facts else _op(facts)
    except (ValueError, TypeError, KeyError, IndexError, RecursionError, MemoryError):
        return None  # somebody else's, or damaged: the nodes stand for themselves


def group_of(metadata: Mapping[str, str]) -> int | None:
    """The number of the group that a node belongs to."""
    text = metadata.get(GROUP, "")
    return int(text) if text.isdecimal() and len(text) < 10 else None


def _op(facts: Mapping[str, Any]) -> OpOrigin:
    arrays = [_array(row) for row in typed(facts["arrays"], list)]
    rows = typed(facts["operands"], list)
    if len(rows) > _MOST_OPERANDS:
        raise ValueError("too many operands")
    options = {
        name: restored(value, arrays.__getitem__)
        for name, value in typed(facts["options"], dict).items()
    }
    return OpOrigin(
        typed(facts["op"], str),
        tuple(_operand(row) for row in rows),
        options,
        typed(facts["recorded"], bool),
    )


def _operand(row: Any) -> Any:
    kind, value = typed(row, list)
    if kind == "value":
        return Given(counted(value))
    number = restored(value, _refuse_array)
    if not isinstance(number, int | float):
        raise TypeError(f"{number!r:.40} is not a number")
    return number


def _array(row: Any) -> Any:
    if isinstance(row, int):
        return Given(counted(row))
    name, shape, data = typed(row, list)
    lengths = [counted(n) for n in typed(shape, list)]
    array = np.frombuffer(b64decode(typed(data, str), validate=True), dtype_named(name))
    return array.reshape(lengths)


def _layer(facts: Mapping[str, Any]) -> LayerOrigin:
    lengths = facts["lengths"]
    config = typed(facts["config"], dict)
    if not all(isinstance(value, bool | str | int | float) for value in config.values()):
        raise TypeError("its options are not numbers")
    return LayerOrigin(
        typed(facts["layer"], str),
        config,
        Given(counted(facts["xs"])),
        _counts(facts["shape"]),
        tuple(Given(n) for n in _counts(facts["states"])),
        None if lengths is None else Given(counted(lengths)),
        tuple(None if n is None else counted(n) for n in typed(facts["outputs"], list)),
    )


def _counts(numbers: Sequence[Any]) -> tuple[int, ...]:
    return tuple(counted(n) for n in typed(numbers, list))
