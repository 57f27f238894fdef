"""Sums, products, quotients and powers, elementwise."""

# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportFunctionMemberAccess=false

import numpy as np

from ..op import op
from ..tensor import Array

__all__ = ["add", "div", "floor_divide", "fmod", "mul", "neg", "pow", "remainder", "sub"]


@op(lambda g, y, a, b: g, lambda g, y, a, b: g, numpy=np.add, sign="+")
def add(a: Array, b: Array):
    """Sum: y = a + b; ā = ȳ, b̄ = ȳ."""


@op(lambda g, y, a, b: g, lambda g, y, a, b: -g, numpy=np.subtract, sign="−")
def sub(a: Array, b: Array):
    """Difference: y = a - b; ā = ȳ, b̄ = -ȳ."""


@op(lambda g, y, a, b: g * b, lambda g, y, a, b: g * a, numpy=np.multiply, sign="×")
def mul(a: Array, b: Array):
    """Product, elementwise: y = a b; ā = ȳ b, b̄ = ȳ a."""


@op(lambda g, y, a, b: g / b, lambda g, y, a, b: -g * y / b, numpy=np.divide, quiet=True, sign="÷")
def div(a: Array, b: Array):
    """Quotient, elementwise: y = a / b; ā = ȳ / b, b̄ = -ȳ y / b."""


@op(
    lambda g, y, a, b: g * b * a ** (b + 0 - (b != 0)),  # + 0: booleans cannot be subtracted
    lambda g, y, a, b: g * y * np.log(np.where((a == 0) * (b >= 0), 1, a)),
    numpy=np.power,
    quiet=True,
)
def pow(a: Array, b: Array):
    """Power: y = a^b; ā = ȳ b a^(b-1), 0 where b is 0; b̄ = ȳ y ln a, 0 where a is 0 ≤ b."""


@op(lambda g, y, x: -g, numpy=np.negative, sign="−")
def neg(x: Array):
    """Negative: y = -x; x̄ = -ȳ."""


# Divisions without a fraction


@op(None, None, numpy=np.floor_divide, quiet=True, sign="⌊÷⌋")
def floor_divide(a: Array, b: Array):
    """Quotient rounded down: y = ⌊a / b⌋; not differentiable."""


@op(
    lambda g, y, a, b: g,
    lambda g, y, a, b: -g * np.floor_divide(a, b),
    numpy=np.remainder,
    quiet=True,
    sign="mod",
)
def remainder(a: Array, b: Array):
    """Remainder of a division, with the sign of b: y = a - ⌊a / b⌋ b; ā = ȳ, b̄ = -ȳ ⌊a / b⌋."""


@op(
    lambda g, y, a, b: g,
    lambda g, y, a, b: -g * np.trunc(a / b),
    numpy=np.fmod,
    quiet=True,
    sign="fmod",
)
def fmod(a: Array, b: Array):
    """Remainder of a division, with the sign of a: y = a - q b, q = trunc(a / b); b̄ = -ȳ q."""
