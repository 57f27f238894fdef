"""Sums of products of any number of arrays, named by letters."""

# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportFunctionMemberAccess=false

from collections.abc import Callable, Sequence
from functools import wraps
from string import ascii_letters
from typing import Any

import numpy as np

from ..op import op
from ..tensor import Array, Tensor

__all__ = ["einsum"]


_WAYS = (False, True, "greedy", "optimal")  # to multiply more than two operands


def letters_of(subscripts: str, ndims: Sequence[int]) -> tuple[list[str], str]:
    """The letters of each operand's axes and of the output's: all written out, "..." too.

    They are valid: `np.einsum` has accepted them.

    >>> letters_of("...j, jk", [3, 2])
    (['abj', 'jk'], 'abk')
    """
    given, arrow, output = subscripts.replace(" ", "").partition("->")
    terms = given.split(",")
    unnamed = [n - len(term.replace("...", "")) for n, term in zip(ndims, terms, strict=True)]
    free = [letter for letter in ascii_letters if letter not in subscripts]
    dots = "".join(free[: max(unnamed)])
    if not arrow:
        once = [letter for letter in sorted({*given} - {*",."}) if given.count(letter) == 1]
        output = "..." + "".join(once)
    inputs = [
        term.replace("...", dots[len(dots) - n :]) for n, term in zip(unnamed, terms, strict=True)
    ]
    return inputs, output.replace("...", dots)


def _einsum_x(i: int, g: Any, y: Any, xs: Sequence[Any], subscripts: str, optimize: Any) -> Any:
    """The einsum of ȳ and the other operands whose letters are those of x.

    Two things are not among them, and are added: an identity matrix for a letter that x repeats,
    since ȳ goes to a diagonal; and ones for a letter that x alone has, since it was summed.
    """
    inputs, output = letters_of(subscripts, [x.ndim for x in xs])
    x, wanted = xs[i], inputs[i]
    factors = {j: (inputs[j], xs[j]) for j in range(len(xs)) if j != i}
    terms = [(output, g), *factors.values()]
    free = iter(sorted({*ascii_letters} - {*"".join(inputs)}))
    axes = ""
    for letter, n in zip(wanted, x.shape, strict=True):
        if letter in axes:
            letter, first = next(free), letter
            terms.append((first + letter, np.eye(n, dtype=g.dtype)))
        axes += letter
    for letter, n in zip(axes, x.shape, strict=True):
        lengths = [term.shape[named.find(letter)] for named, term in terms if letter in named]
        if n not in lengths:
            terms.append((letter, np.ones(n, g.dtype)))
    names, arrays = zip(*terms, strict=True)
    return np.einsum(f"{','.join(names)}->{axes}", *arrays, optimize=optimize)


def _subscripts_first(recorded: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """NumPy's order of the arguments: the subscripts, then the operands."""

    @wraps(recorded)
    def einsum(subscripts: Any, *operands: Any, optimize: Any = False) -> Tensor:
        if not isinstance(subscripts, str):
            raise TypeError(
                "einsum: the subscripts come first, as one str: einsum('ij,jk->ik', A, B)"
            )
        # NumPy takes numbers for arrays of float64, too.
        tensors = [x if isinstance(x, Tensor) else Tensor(x) for x in operands]
        return recorded(tensors, subscripts, optimize)

    return einsum


@_subscripts_first
@op(_einsum_x, variadic=True)
def einsum(xs: Sequence[Array], subscripts: str, optimize: Any = False) -> Array:
    """Sum of products: y = Σ ∏ xᵢ, axes named by letters; x̄ᵢ = einsum of ȳ and all xⱼ, j ≠ i.

    `einsum("ij,jk->ik", A, B)`, as NumPy's: letters that the output lacks are summed, without "->"
    the output has those that occur once, "..." stands for further axes, and a letter that an
    operand repeats takes its diagonal. More than two operands are faster with `optimize=True`.
    Lists of axes in place of the subscripts are not taken.
    """
    if optimize not in _WAYS:
        raise ValueError(f"optimize must be one of {_WAYS}")
    return np.einsum(subscripts, *xs, optimize=optimize)
