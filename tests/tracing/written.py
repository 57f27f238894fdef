"""A formula read as NumPy: what the text says, with numbers in the place of its names.

- `2 x` is `2 * x`.
- `A x` is `A @ x`; of the weight of a layer `x @ W.T`: it multiplies each vector, the rows of x.
- `a bᵀ` of two vectors is each element of the one by each of the other.
- `[a; b]` joins along the last axis, `[a, b]` puts them side by side on a new first one.
- `Σ x` is the sum of all elements.
- Everything else is NumPy's, axes, indices and broadcasting included.
"""

import re

import numpy as np

import tinygrad_rnn as tg

TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d+)?(?:e[-+]?\d+)?π?|π)"
    r"|(?P<name>(?:[^\W\d²ᵀ]|[←→])[^\W²ᵀ]*(?:\.\w+)*[′₀-₉ₜ₋₊]*)"
    r"|(?P<sign>[-+−⊙/=≠><≥≤²ᵀ^()\[\],;:]))"
)
INFIX = {
    "=": (1, np.equal), "≠": (1, np.not_equal), ">": (1, np.greater), "≥": (1, np.greater_equal),
    "<": (1, np.less), "≤": (1, np.less_equal), "+": (2, np.add), "−": (2, np.subtract),
    "⊙": (3, np.multiply), "/": (3, np.divide),
}  # fmt: skip
PRODUCT, MATMUL, POWER = 3, 4, 5


class Weight(np.ndarray):
    """A weight of a layer, which multiplies each vector: the rows of an array."""


class Row:
    """A vector that lies: `bᵀ`."""

    def __init__(self, vector):
        self.vector = vector


def value_of(text, names, functions):
    """What a formula says.

    Args:
        text: the formula.
        names: the numbers in the place of its names.
        functions: … and what is called there: of what it does not say those of the op table.
    """
    found = _Reader(text, names, functions)
    value = found.expression(0)
    assert found.at_end, (text, found.rest)
    return value


class _Reader:
    def __init__(self, text, names, functions):
        self.rest, self.names, self.functions = text, names, functions

    @property
    def at_end(self):
        return not self.rest.strip()

    def next(self):
        """The next token, which is not taken."""
        found = TOKEN.match(self.rest)
        return found if found is not None else None

    def take(self, sign=None):
        found = self.next()
        assert found is not None, self.rest
        assert sign is None or found["sign"] == sign, (sign, self.rest)
        self.rest = self.rest[found.end() :]
        return found

    def sees(self, *signs):
        found = self.next()
        return found is not None and found["sign"] in signs

    def expression(self, least):
        value = self.factor()
        while (found := self.next()) is not None:
            sign = found["sign"]
            if sign in INFIX:
                binds, function = INFIX[sign]
                if binds < least:
                    break
                self.take()
                value = function(value, self.expression(binds + 1))
            elif (sign is None or sign in "([") and least <= MATMUL:
                value = _product(value, self.expression(POWER))
            else:
                break
        return value

    def factor(self):
        if self.sees("−", "-"):
            return -(self.take() and self.expression(PRODUCT))
        found = self.next()
        if found["name"] == "Σ":
            self.take()
            return np.sum(self.expression(POWER))
        return self.behind(self.atom())

    def behind(self, value):
        """What stands right behind a value: an index, a power, a ᵀ."""
        while self.rest and not self.rest[0].isspace() and self.sees("[", "²", "^", "ᵀ"):
            match self.take()["sign"]:
                case "[":
                    value = value[self.index()]
                case "²":
                    value = value**2
                case "^":
                    value = value ** self.behind(self.atom())
                case _:
                    value = Row(value) if np.ndim(value) == 1 else np.swapaxes(value, -1, -2)
        return value

    def index(self):
        ends = (match.end() for match in re.finditer("]", self.rest))
        end = next(at for at in ends if self.rest.count("[", 0, at) < self.rest.count("]", 0, at))
        text, self.rest = self.rest[: end - 1], self.rest[end:]
        return eval(f"np.s_[{text.replace('…', '...')}]", {**self.names, "np": np})

    def atom(self):
        found = self.take()
        if found["number"]:
            return eval(re.sub("(?<=.)π", "*np.pi", found["number"]).replace("π", "np.pi"))
        if found["name"]:
            is_call = self.rest[:1] == "("
            return self.call(found["name"]) if is_call else self.names[found["name"]]
        if found["sign"] == "(":
            value = self.listed(")")
            return value[0] if len(value) == 1 else tuple(value)
        assert found["sign"] == "[", self.rest
        return self.joined()

    def listed(self, end, between=","):
        found = [self.expression(0)]
        while not self.sees(end):
            self.take(between)
            found.append(self.expression(0))
        self.take(end)
        return found

    def joined(self):
        start = self.rest
        self.expression(0)
        between, self.rest = self.next()["sign"], start
        parts = self.listed("]", ";" if between == ";" else ",")
        if between == ";":
            return np.concatenate([np.atleast_1d(part) for part in parts], axis=-1)
        return np.stack(np.broadcast_arrays(*parts))

    def call(self, name):
        self.take("(")
        given, options = [], {}
        if name in ("stack", "concatenate"):
            self.take("[")
            given.append(self.listed("]"))
            self.take(",")
            self.rest = self.rest.lstrip()
        while not self.sees(")"):
            option = re.match(r"(\w+)=([^,()]+|\([^()]*\))", self.rest)
            if option:
                self.rest = self.rest[option.end() :]
                options[option[1]] = eval(option[2])
            else:
                given.append(self.expression(0))
            if self.sees(","):
                self.take()
                self.rest = self.rest.lstrip()
        self.take(")")
        function = self.functions.get(name) or getattr(tg.ops, {"σ": "sigmoid"}.get(name, name))
        with tg.no_grad():
            made = function(*given, **options)
        return made.numpy() if isinstance(made, tg.Tensor) else made


def _product(a, b):
    if isinstance(b, Row):
        column = a if np.ndim(a) > 1 else a[:, None]
        return column @ b.vector[None, :]
    if isinstance(a, Row):
        return a.vector @ b
    if isinstance(a, int | float):
        return a * b
    if isinstance(a, Weight):
        return b @ a.T
    return a @ b
