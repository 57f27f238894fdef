"""Sums of products by letters: what einsum computes, as products of matrices, which BLAS computes.

The letters of two operands are of four kinds. Those of both that are kept count products; those of
both that are not are summed by the product; the others are its rows and its columns.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from ..autograd.ops.contractions import letters_of
from .program import Program, Value


@dataclass(frozen=True, slots=True)
class Term:
    """An operand, and a letter for each of its axes."""

    letters: str
    value: Value

    def size(self, letter: str) -> int:
        return self.value.shape[self.letters.index(letter)]

    def in_order(self, program: Program, letters: Iterable[str]) -> Value:
        """Its axes in the order of these letters, which are its own."""
        return program.transpose(self.value, [self.letters.index(letter) for letter in letters])


def contracted(program: Program, subscripts: str, xs: Sequence[Value]) -> Value | None:
    """The einsum of values of one dtype; None: it takes a diagonal, or repeats what has one row."""
    inputs, output = letters_of(subscripts, [x.ndim for x in xs])
    terms = [Term(letters, x) for letters, x in zip(inputs, xs, strict=True)]
    if any(len({*term.letters}) < len(term.letters) for term in terms) or not _fit(terms):
        return None
    for together in _order(inputs, output, xs):
        first, *others = (terms[i] for i in together)
        terms = [term for i, term in enumerate(terms) if i not in together]
        while others:
            second, *others = others
            wanted = {*output}.union(*(term.letters for term in (*terms, *others)))
            first = _product(program, first, second, wanted)
        terms.append(first)
    return _summed(program, terms[0], {*output}).in_order(program, output)


def _fit(terms: Sequence[Term]) -> bool:
    """Whether a letter is of one length wherever it stands."""
    sizes: dict[str, int] = {}
    pairs = ((letter, term.size(letter)) for term in terms for letter in term.letters)
    return all(sizes.setdefault(letter, n) == n for letter, n in pairs)


def _order(inputs: Sequence[str], output: str, xs: Sequence[Value]) -> list[tuple[int, ...]]:
    """Which operands are multiplied, one product after the other, so that little is computed."""
    blanks = [np.broadcast_to(0.0, x.shape) for x in xs]
    _, *steps = np.einsum_path(f"{','.join(inputs)}->{output}", *blanks, optimize="greedy")[0]
    return steps


def _summed(program: Program, term: Term, wanted: set[str]) -> Term:
    """The sum over all letters but those that are wanted."""
    gone = [axis for axis, letter in enumerate(term.letters) if letter not in wanted]
    if not gone:
        return term
    kept = "".join(letter for letter in term.letters if letter in wanted)
    return Term(kept, program.reduce(np.add, term.value, gone))


def _product(program: Program, a: Term, b: Term, wanted: set[str]) -> Term:
    """Two terms as one; letters that are not wanted are summed."""
    a = _summed(program, a, wanted | {*b.letters})
    b = _summed(program, b, wanted | {*a.letters})
    both = [letter for letter in a.letters if letter in b.letters]
    stack = [letter for letter in both if letter in wanted]
    inner = [letter for letter in both if letter not in wanted]
    rows = [letter for letter in a.letters if letter not in both]
    columns = [letter for letter in b.letters if letter not in both]
    sizes = {letter: term.size(letter) for term in (a, b) for letter in term.letters}
    lengths = lambda letters: [sizes[letter] for letter in letters]
    made = "".join((*stack, *rows, *columns))
    left = a.in_order(program, (*stack, *rows, *inner))
    if not inner:
        left = program.reshape(left, (*left.shape, *(1,) * len(columns)))
        right = b.in_order(program, (*stack, *columns))
        right = program.reshape(right, (*lengths(stack), *(1,) * len(rows), *lengths(columns)))
        return Term(made, program.ufunc(np.multiply, left, right, dtype=left.dtype))
    right = b.in_order(program, (*stack, *inner, *columns))
    n, k, m = (prod(lengths(letters)) for letters in (rows, inner, columns))
    left = program.reshape(left, (*lengths(stack), n, k))
    right = program.reshape(right, (*lengths(stack), k, m))
    product = program.matmul(left, right)
    return Term(made, program.reshape(product, lengths(made)))
