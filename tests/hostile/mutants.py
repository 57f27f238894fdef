"""Files as a stranger would damage them: each of one change or a few, in what the format is of."""

import copy
import json

import numpy as np

NUMBERS = [
    0,
    1,
    -1,
    2,
    7,
    63,
    64,
    2**15,
    2**31,
    2**32 - 1,
    2**62,
    2**63 - 1,
    -(2**63),
    2**64,
    10**30,
]
VALUES = [
    *NUMBERS, None, True, False, 0.5, -0.0, 1e308, float("nan"), float("inf"), "", "x", "axis",
    "\0", "\x1b[31m", "../..", "sum", "a" * 5000, [], [[]], {}, {"x": 1}, ["tuple"],
    ["slice", 0, 1, 0], ["array", 0], ["array", 10**9], ["dtype", "<f8"], ["number", "<f8", 1.0],
    ["ellipsis"], ["unknown", "x"],
]  # fmt: skip


def places(value, here=()):
    """Every place in a JSON value."""
    yield here
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from places(value[key], (*here, key))


def at(value, place):
    for key in place:
        value = value[key]
    return value


def mutated_json(value, rng):
    """A copy with something replaced, left out, repeated, or taken from another place."""
    value = copy.deepcopy(value)
    known = [place for place in places(value) if place]
    place = known[rng.integers(len(known))]
    outer, key = at(value, place[:-1]), place[-1]
    kind = rng.integers(6)
    if kind == 0:
        del outer[key]
    elif kind == 1 and isinstance(outer, list):
        outer.insert(key, copy.deepcopy(outer[key]))
    elif kind == 2:
        outer[key] = copy.deepcopy(at(value, known[rng.integers(len(known))]))
    elif kind == 3 and type(outer[key]) is int:
        outer[key] += int(rng.integers(-3, 4))
    elif kind == 4 and isinstance(outer, list):
        other = int(rng.integers(len(outer)))
        outer[key], outer[other] = outer[other], outer[key]
    else:
        outer[key] = VALUES[rng.integers(len(VALUES))]
    return value


def mutated_array(array, rng):
    """Another array: other elements, order, length, shape or dtype."""
    array = np.array(array)
    kind = rng.integers(8)
    if kind == 0:
        return array[: rng.integers(array.size + 1)] if array.ndim else array
    if kind == 1:
        return array.astype(["<i4", "<f8", "|u1", "<i8", "<f2", "|b1"][rng.integers(6)])
    if kind == 2:
        return array.reshape(-1, 1)
    if kind == 3:
        return array[::-1].copy() if array.ndim else array
    if not array.size:
        return np.zeros(3, array.dtype)
    flat = array.reshape(-1)
    chosen = rng.integers(flat.size, size=1 + int(rng.integers(3)) * int(kind == 7))
    if kind == 4:
        flat[chosen] = flat[rng.integers(flat.size)]
    elif kind == 5 and array.dtype.kind in "iu":
        flat[chosen] += rng.integers(-3, 4, len(chosen)).astype(array.dtype)
    elif kind == 6 and array.dtype == np.int64:
        flat[flat == flat[chosen[0]]] = NUMBERS[rng.integers(13)]
    elif array.dtype.kind == "f":
        flat[chosen] = [0.0, np.nan, np.inf, 1e308, -1.0][rng.integers(5)] * 1
    else:
        info = np.iinfo(array.dtype) if array.dtype.kind in "iu" else np.iinfo(np.uint8)
        flat[chosen] = np.clip(NUMBERS[rng.integers(13)], info.min, info.max)
    return array


def mutated_bytes(data, rng):
    """Bits that flipped, a piece that is missing, or one that stands twice."""
    made = bytearray(data)
    start, stop = sorted(rng.integers(len(made), size=2).tolist())
    kind = rng.integers(3)
    if kind == 0:
        for place in rng.integers(len(made), size=1 + int(rng.integers(8))):
            made[place] ^= 1 << int(rng.integers(8))
    elif kind == 1:
        del made[start:stop]
    else:
        made[start:start] = made[start : min(stop, start + 1000)]
    return bytes(made)


def of_archive(archive, data):
    """How to make mutants of a safetensors file: a function of a generator."""
    description, arrays = archive.decode("good", data)

    def mutant(rng):
        text, columns = description, dict(arrays)
        for _ in range(1 + int(rng.integers(3)) // 2):
            kind = rng.integers(10)
            if kind == 0:
                return mutated_bytes(data, rng)
            if kind < 5:
                text = mutated_json(text, rng)
            else:
                name = sorted(columns)[rng.integers(len(columns))]
                columns[name] = mutated_array(columns[name], rng)
        if rng.integers(40) == 0:
            columns.pop(sorted(columns)[rng.integers(len(columns))])
        return encoded(archive, text, columns, data)

    return mutant


def encoded(archive, text, columns, otherwise):
    from tinygrad_rnn.errors import TinygradError

    try:
        return archive.encode(text, columns)
    except TinygradError:  # what cannot be written at all
        return otherwise[:-1]


def of_json(data):
    """How to make mutants of a JSON file."""
    content = json.loads(data)

    def mutant(rng):
        if rng.integers(10) == 0:
            return mutated_bytes(data, rng)
        made = mutated_json(content, rng)
        if rng.integers(3) == 0 and isinstance(made, dict) and made:
            made = mutated_json(made, rng)
        return json.dumps(made).encode()

    return mutant
