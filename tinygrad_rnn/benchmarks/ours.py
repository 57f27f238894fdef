"""The step in this package: the loop a person writes, the layer, each eager or compiled."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ..autograd import ops
from ..autograd.tensor import Tensor
from ..compiler import compile
from ..nn import Parameter, cross_entropy
from ..nn.recurrent import LAYERS
from .problem import Problem, Step, V

Loss = Callable[[Tensor, Tensor], Tensor]


def eager_loop(problem: Problem) -> Step:
    """h = tanh(linear(x, W_xh) + linear(h, W_hh)), step by step."""
    return _step(problem, *_loop(problem))


def eager_layer(problem: Problem) -> Step:
    """`nn.RNN`, `nn.LSTM` or `nn.GRU`."""
    return _step(problem, *_layer(problem))


def compiled(problem: Problem) -> Step:
    """The loop under `compile`, recorded at the first two calls; of gated cells the layer."""
    loss, parameters = _loop(problem) if problem.cell == "rnn" else _layer(problem)
    return _step(problem, compile(loss), parameters)


def _loop(problem: Problem) -> tuple[Loss, list[Any]]:
    W_xh, W_hh, W_hy = (Parameter(W) for W in problem.weights.values())
    T, B, H = problem.size.T, problem.size.B, problem.size.H

    def loss(xs: Tensor, targets: Tensor) -> Tensor:
        h, ys = Tensor(np.zeros((B, H), problem.dtype)), []
        for t in range(T):
            h = ops.tanh(ops.linear(xs[t], W_xh) + ops.linear(h, W_hh))
            ys.append(ops.linear(h, W_hy))
        loss = cross_entropy(ops.stack(ys), targets)
        loss.backward()
        return loss

    return loss, [W_xh, W_hh, W_hy]


def _layer(problem: Problem) -> tuple[Loss, list[Any]]:
    network = LAYERS[problem.cell](
        V, problem.size.H, output_size=V, bias=False, dtype=problem.dtype
    )
    network.load_state_dict(problem.weights)

    def loss(xs: Tensor, targets: Tensor) -> Tensor:
        loss = cross_entropy(network(xs)[0], targets)
        loss.backward()
        return loss

    return loss, [network.W_xh, network.W_hh, network.W_hy]


def _step(problem: Problem, loss: Loss, parameters: list[Any]) -> Step:
    xs, targets = Tensor(problem.xs), Tensor(problem.targets)

    def step() -> tuple[Any, ...]:
        for parameter in parameters:
            parameter.grad = None
        value = loss(xs, targets)
        return value, *(parameter.grad for parameter in parameters)

    return step  # pyright: ignore[reportReturnType]  (three parameters, three gradients)
