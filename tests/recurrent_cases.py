"""Recurrent layers of every kind to hold against torch's, with numbers made by a formula."""

import re
from dataclasses import dataclass

import numpy as np

import tinygrad_rnn as tg

KINDS = {"RNN": tg.nn.RNN, "LSTM": tg.nn.LSTM, "GRU": tg.nn.GRU}


@dataclass(frozen=True)
class Case:
    kind: str
    input_size: int = 2
    hidden_size: int = 3
    num_layers: int = 1
    bias: bool = True
    batch_first: bool = False
    bidirectional: bool = False
    nonlinearity: str | None = None  # of an RNN
    steps: int = 4
    batch: int | None = 2
    lengths: tuple[int, ...] | None = None
    initial_state: bool = True

    @property
    def options(self):
        names = ("num_layers", "bias", "batch_first", "bidirectional")
        given = {name: getattr(self, name) for name in names}
        return given | ({"nonlinearity": self.nonlinearity} if self.nonlinearity else {})

    @property
    def states(self):
        return ("h", "c") if self.kind == "LSTM" else ("h",)

    @property
    def cells(self):
        return self.num_layers * (2 if self.bidirectional else 1)

    def torch_parameters(self):
        """Values under torch's names, by a formula."""
        shapes, gates = {}, {"RNN": 1, "LSTM": 4, "GRU": 3}[self.kind]
        directions = 2 if self.bidirectional else 1
        for i in range(self.cells):
            layer, direction = divmod(i, directions)
            inputs = self.hidden_size * directions if layer else self.input_size
            suffix = f"_l{layer}{'_reverse' if direction else ''}"
            rows = gates * self.hidden_size
            shapes |= {
                f"weight_ih{suffix}": (rows, inputs),
                f"weight_hh{suffix}": (rows, self.hidden_size),
            }
            if self.bias:
                shapes |= {f"bias_ih{suffix}": (rows,), f"bias_hh{suffix}": (rows,)}
        return {name: waves(shape, k) for k, (name, shape) in enumerate(shapes.items())}

    def inputs(self):
        """xs, the initial states or None, and the weights of the loss that all outputs enter."""
        batch = () if self.batch is None else (self.batch,)
        time = (self.steps,)
        lead = (*batch, *time) if self.batch_first else (*time, *batch)
        width = self.hidden_size * (2 if self.bidirectional else 1)
        state = (self.cells, *batch, self.hidden_size)
        given = (
            [waves(state, 50 + k) for k, _ in enumerate(self.states)]
            if self.initial_state
            else None
        )
        weights = [
            waves((*lead, width), 60),
            *(waves(state, 61 + k) for k, _ in enumerate(self.states)),
        ]
        return waves((*lead, self.input_size), 70), given, weights


def waves(shape, seed):
    return (
        0.8 * np.sin(1.0 + 0.7 * seed + np.arange(np.prod(shape, dtype=int)).reshape(shape) * 2.3)
        + 0.01 * seed
    )


def ours(case):
    """Outputs, states and gradients by name; a bias under torch's first name for it."""
    layer = KINDS[case.kind](case.input_size, case.hidden_size, **case.options, rng=0)
    layer.load_torch_state_dict(case.torch_parameters())
    xs, given, weights = case.inputs()
    xs = tg.tensor(xs, requires_grad=True)
    states = given and tuple(tg.tensor(part, requires_grad=True) for part in given)
    ys, state = layer(
        xs, states and (states if len(states) > 1 else states[0]), lengths=case.lengths
    )
    outputs = (ys, *(state if isinstance(state, tuple) else (state,)))
    tg.ops.stack([(y * w).sum() for y, w in zip(outputs, weights, strict=True)]).sum().backward()
    found = {"ys": ys.data} | {
        f"{s}": part.data for s, part in zip(case.states, outputs[1:], strict=True)
    }
    found["xs.grad"] = xs.grad.data
    for name, part in zip(case.states, states or (), strict=False):
        found[f"{name}.grad"] = part.grad.data
    for name, parameter in layer.named_parameters():
        found[f"{torch_name(name)}.grad"] = parameter.grad.data
    return found


def torch_name(name):
    """The name of the one array of torch's whose gradient is our parameter's."""
    base, layer, direction = re.fullmatch(r"(.+?)(?:_l(\d+))?(_reverse)?", name).groups(default="")
    names = {"W_xh": "weight_ih", "W_hh": "weight_hh", "b_x": "bias_ih", "b_h": "bias_hh"}
    return f"{names[base]}_l{layer or 0}{direction}"
