"""Every op that is differentiable, forward and backward, beside the same arithmetic unrecorded."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from ..autograd import ops
from ..autograd.tensor import Array, Tensor
from .problem import Size

ARITHMETIC, OURS, TORCH = "arithmetic", "eager", "PyTorch"
FIXED = "neg"  # the op whose arithmetic is next to nothing: what is left is the engine's

Call = Callable[[Any, list[Any]], Any]  # of a module of functions, and the operands


@dataclass(frozen=True)
class Case:
    """An op as it is called; `torch` where PyTorch's is called in another way, None: it has none.

    Args:
        name: of the op.
        call: on Tensors.
        operands: how many of them, each (B, H).
        torch: the same in PyTorch.
        torch_name: what PyTorch must have for it.
    """

    name: str
    call: Call
    operands: int = 1
    torch: Call | None = None
    torch_name: str = "tensor"  # what PyTorch must have for it


def _same(name: str, operands: int = 1) -> Case:
    """One that has the same name and arguments in both."""
    call: Call = lambda f, xs: getattr(f, name)(*xs)
    return Case(name, call, operands, call, name)


def _picked(x: Any) -> Any:
    return np.arange(len(x)) % x.shape[-1]


CASES = [
    *map(_same, ("neg", "tanh", "sigmoid", "relu", "exp", "log", "sqrt", "abs", "sin", "cos")),
    *(_same(name, 2) for name in ("add", "sub", "mul", "div", "pow", "maximum", "minimum")),
    Case("softplus", lambda f, xs: f.softplus(xs[0]), 1,
         lambda t, xs: t.nn.functional.softplus(xs[0])),
    Case("log_sigmoid", lambda f, xs: f.log_sigmoid(xs[0]), 1,
         lambda t, xs: t.nn.functional.logsigmoid(xs[0])),
    Case("silu", lambda f, xs: f.silu(xs[0]), 1, lambda t, xs: t.nn.functional.silu(xs[0])),
    Case("clip", lambda f, xs: f.clip(xs[0], 0.3, 0.7), 1, lambda t, xs: t.clip(xs[0], 0.3, 0.7)),
    Case("where", lambda f, xs: f.where(xs[0].data > 0.5, xs[0], xs[1]), 2,
         lambda t, xs: t.where(xs[0] > 0.5, xs[0], xs[1])),
    Case("sum", lambda f, xs: f.sum(xs[0], -1), 1, lambda t, xs: t.sum(xs[0], -1)),
    Case("mean", lambda f, xs: f.mean(xs[0], -1), 1, lambda t, xs: t.mean(xs[0], -1)),
    Case("max", lambda f, xs: f.max(xs[0], -1), 1, lambda t, xs: t.amax(xs[0], -1)),
    Case("min", lambda f, xs: f.min(xs[0], -1), 1, lambda t, xs: t.amin(xs[0], -1)),
    Case("prod", lambda f, xs: f.prod(xs[0], -1), 1, lambda t, xs: t.prod(xs[0], -1)),
    Case("cumsum", lambda f, xs: f.cumsum(xs[0], -1), 1, lambda t, xs: t.cumsum(xs[0], -1)),
    Case("logsumexp", lambda f, xs: f.logsumexp(xs[0]), 1, lambda t, xs: t.logsumexp(xs[0], -1)),
    Case("softmax", lambda f, xs: f.softmax(xs[0]), 1, lambda t, xs: t.softmax(xs[0], -1)),
    Case("log_softmax", lambda f, xs: f.log_softmax(xs[0]), 1,
         lambda t, xs: t.log_softmax(xs[0], -1)),
    Case("cross_entropy", lambda f, xs: f.cross_entropy(xs[0], _picked(xs[0])), 1,
         lambda t, xs: t.nn.functional.cross_entropy(xs[0], t.arange(len(xs[0])))),
    Case("linear", lambda f, xs: f.linear(xs[0], xs[1]), 2, lambda t, xs: xs[0] @ xs[1].T),
    Case("matmul", lambda f, xs: f.matmul(xs[0], xs[1].T), 2, lambda t, xs: xs[0] @ xs[1].T),
    Case("reshape", lambda f, xs: f.reshape(xs[0], -1), 1, lambda t, xs: t.reshape(xs[0], (-1,))),
    Case("transpose", lambda f, xs: f.transpose(xs[0]), 1, lambda t, xs: xs[0].T),
    Case("broadcast_to", lambda f, xs: f.broadcast_to(xs[0], (2, *xs[0].shape)), 1,
         lambda t, xs: t.broadcast_to(xs[0], (2, *xs[0].shape))),
    Case("getitem", lambda f, xs: xs[0][:, 1:], 1, lambda t, xs: xs[0][:, 1:]),
    Case("embedding", lambda f, xs: f.embedding(xs[0], _picked(xs[0]) % len(xs[0])), 1,
         lambda t, xs: t.nn.functional.embedding(t.arange(len(xs[0])), xs[0])),
    Case("stack", lambda f, xs: f.stack(xs), 2, lambda t, xs: t.stack(xs)),
    Case("concatenate", lambda f, xs: f.concatenate(xs, -1), 2, lambda t, xs: t.cat(xs, -1)),
]  # fmt: skip


def runs(size: Size) -> dict[str, dict[str, Callable[[], Any]]]:
    """By op: its arithmetic, the recorded op forward and backward, and PyTorch's where it is."""
    rng = np.random.default_rng(0)
    found: dict[str, dict[str, Callable[[], Any]]] = {}
    for case in cases():
        arrays = [rng.uniform(0.1, 0.9, (size.B, size.H)) for _ in range(case.operands)]
        found[case.name] = {ARITHMETIC: _arithmetic(case, arrays), OURS: _recorded(case, arrays)}
    try:
        torch: Any = import_module("torch")
    except ImportError:
        return found
    torch.set_num_threads(1)
    for case in cases():
        if case.torch is not None and hasattr(torch, case.torch_name):
            arrays = [rng.uniform(0.1, 0.9, (size.B, size.H)) for _ in range(case.operands)]
            found[case.name][TORCH] = _by_torch(torch, case.torch, arrays)
    return found


def cases() -> list[Case]:
    """Those above, and every other differentiable op of numbers, by its name."""
    named = {case.name for case in CASES}
    found = list(CASES)
    for name in ops.__all__:
        op = getattr(getattr(ops, name), "op", None)
        if name not in named and op is not None and op.kind == "elementwise" and any(op.vjps):
            found.append(_same(name, len(op.vjps)))
    return found


def _arithmetic(case: Case, arrays: list[Array]) -> Callable[[], Any]:
    """The op's own formulas, run on arrays: no graph, no checks."""
    operands = [Tensor(array, requires_grad=True) for array in arrays]
    y = case.call(ops, operands)
    op, given, options = y.op, y.arrays, y.options
    slots = [i for i, x in enumerate(y.inputs) if x is not None and op.differentiable(i)]
    g = np.ones(y.shape)

    def run() -> Any:
        made = np.asarray(op.forward(*op.given(given), **options))
        return made, [op.vjp(i, g, made, given, options) for i in slots]

    return run


def _recorded(case: Case, arrays: list[Array]) -> Callable[[], Any]:
    operands = [Tensor(array, requires_grad=True) for array in arrays]
    ones = Tensor(np.ones(case.call(ops, operands).shape))

    def run() -> Any:
        for x in operands:
            x.grad = None
        case.call(ops, operands).backward(ones)

    return run


def _by_torch(torch: Any, call: Call, arrays: list[Array]) -> Callable[[], Any]:
    operands = [torch.tensor(array, requires_grad=True) for array in arrays]
    ones = torch.ones_like(call(torch, operands))

    def run() -> Any:
        for x in operands:
            x.grad = None
        call(torch, operands).backward(ones)

    return run
