"""The step in other packages, each imported where it is used: ImportError where there is none."""

from collections.abc import Callable

# None of them is a dependency, so that to a type checker all are unknown.
from importlib import import_module
from typing import Any

import numpy as np

from .problem import Problem, Step, V


def torch_loop(problem: Problem) -> Step:
    """The loop a person writes, in PyTorch."""
    torch = _torch()
    T, B = problem.targets.shape
    W_xh, W_hh, W_hy = parameters = [
        torch.tensor(W, requires_grad=True) for W in problem.weights.values()
    ]
    xs, targets = torch.tensor(problem.xs), torch.tensor(problem.targets).reshape(-1)

    def loss() -> Any:
        h, ys = torch.zeros(B, problem.size.H, dtype=xs.dtype), []
        for t in range(T):
            h = torch.tanh(xs[t] @ W_xh.T + h @ W_hh.T)
            ys.append(h @ W_hy.T)
        return torch.nn.functional.cross_entropy(torch.stack(ys).reshape(-1, V), targets)

    return _torch_step(loss, parameters)


def torch_layer(problem: Problem) -> Step:
    """torch.nn.RNN, LSTM or GRU, then one product for all outputs."""
    torch = _torch()
    W_xh, W_hh, W_hy = (torch.tensor(W) for W in problem.weights.values())
    layer = getattr(torch.nn, problem.cell.upper())(V, problem.size.H, bias=False, dtype=W_xh.dtype)
    with torch.no_grad():
        layer.weight_ih_l0.copy_(W_xh)
        layer.weight_hh_l0.copy_(W_hh)
    W_hy.requires_grad_()
    xs, targets = torch.tensor(problem.xs), torch.tensor(problem.targets).reshape(-1)

    def loss() -> Any:
        return torch.nn.functional.cross_entropy((layer(xs)[0] @ W_hy.T).reshape(-1, V), targets)

    return _torch_step(loss, [layer.weight_ih_l0, layer.weight_hh_l0, W_hy])


def _torch() -> Any:
    torch = import_module("torch")
    torch.set_num_threads(1)
    return torch


def _torch_step(loss: Any, parameters: list[Any]) -> Step:
    def step() -> Any:
        for parameter in parameters:
            parameter.grad = None
        value = loss()
        value.backward()
        return value.detach(), *(parameter.grad for parameter in parameters)

    return step


def jax_scan(problem: Problem) -> Step:
    """jax.lax.scan over the steps under jit, everything inside the loop."""

    def outputs(jax: Any, W_xh: Any, W_hh: Any, W_hy: Any, xs: Any, start: Any) -> Any:
        def each(h: Any, x: Any) -> Any:
            h = jax.numpy.tanh(x @ W_xh.T + h @ W_hh.T)
            return h, h @ W_hy.T

        return jax.lax.scan(each, start, xs)[1]

    return _jax(problem, outputs)


def jax_scan_hoisted(problem: Problem) -> Step:
    """The same with the input and output projections taken out of the loop, by hand."""

    def outputs(jax: Any, W_xh: Any, W_hh: Any, W_hy: Any, xs: Any, start: Any) -> Any:
        def each(h: Any, x: Any) -> Any:
            h = jax.numpy.tanh(x + h @ W_hh.T)
            return h, h

        return jax.lax.scan(each, start, xs @ W_xh.T)[1] @ W_hy.T

    return _jax(problem, outputs)


def _jax(problem: Problem, outputs: Callable[..., Any]) -> Step:
    jax: Any = import_module("jax")
    if problem.dtype == np.float64:
        jax.config.update("jax_enable_x64", True)
    jnp = jax.numpy
    weights = [jnp.asarray(W) for W in problem.weights.values()]
    xs, targets = jnp.asarray(problem.xs), jnp.asarray(problem.targets)
    start = jnp.zeros((problem.size.B, problem.size.H), xs.dtype)

    def loss(weights: Any) -> Any:
        scores = jax.nn.log_softmax(outputs(jax, *weights, xs, start))
        return -jnp.take_along_axis(scores, targets[..., None], -1).mean()

    gradient = jax.jit(jax.value_and_grad(loss))

    def step() -> Any:
        value, gradients = jax.block_until_ready(gradient(weights))
        return value, *gradients

    return step


def mygrad_loop(problem: Problem) -> Step:
    """The loop a person writes, in MyGrad."""
    mg: Any = import_module("mygrad")
    losses: Any = import_module("mygrad.nnet.losses")
    T, B = problem.targets.shape
    W_xh, W_hh, W_hy = parameters = [mg.tensor(W) for W in problem.weights.values()]
    targets = problem.targets.reshape(-1)

    def step() -> Any:
        for parameter in parameters:
            parameter.null_grad()
        h, ys = np.zeros((B, problem.size.H), problem.dtype), []
        for t in range(T):
            h = mg.tanh(mg.matmul(problem.xs[t], W_xh.T) + mg.matmul(h, W_hh.T))
            ys.append(mg.matmul(h, W_hy.T))
        loss = losses.softmax_crossentropy(mg.concatenate(ys), targets)
        loss.backward()
        return loss.data, *(parameter.grad for parameter in parameters)

    return step


def hips_loop(problem: Problem) -> Step:
    """The loop a person writes, in HIPS autograd."""
    autograd: Any = import_module("autograd")
    anp: Any = import_module("autograd.numpy")
    T, B = problem.targets.shape
    weights = list(problem.weights.values())
    rows, targets = np.arange(T * B), problem.targets.reshape(-1)

    def loss(weights: Any) -> Any:
        W_xh, W_hh, W_hy = weights
        h, ys = np.zeros((B, problem.size.H), problem.dtype), []
        for t in range(T):
            h = anp.tanh(anp.dot(problem.xs[t], W_xh.T) + anp.dot(h, W_hh.T))
            ys.append(anp.dot(h, W_hy.T))
        scores = anp.concatenate(ys)
        scores = scores - anp.max(scores, axis=1, keepdims=True)
        return anp.mean(anp.log(anp.sum(anp.exp(scores), axis=1)) - scores[rows, targets])

    gradient = autograd.value_and_grad(loss)

    def step() -> Any:
        value, gradients = gradient(weights)
        return value, *gradients

    return step
