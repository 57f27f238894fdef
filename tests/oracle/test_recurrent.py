"""Our recurrent layers against torch's: all numbers of 600 random configurations."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from recurrent_cases import KINDS, Case, ours

import tinygrad_rnn as tg

TABLE = Path(__file__).parents[1] / "nn" / "torch_reference.json"

REFERENCES = [
    Case("RNN"),
    Case("RNN", nonlinearity="relu", num_layers=2, batch=None),
    Case("RNN", num_layers=2, bidirectional=True, lengths=(4, 2)),
    Case("RNN", bias=False, batch_first=True, initial_state=False),
    Case("LSTM"),
    Case("LSTM", num_layers=2, bidirectional=True, batch_first=True, lengths=(1, 4)),
    Case("LSTM", bias=False, batch=None, initial_state=False),
    Case("LSTM", num_layers=3, steps=2),
    Case("GRU"),
    Case("GRU", num_layers=2, bidirectional=True, lengths=(3, 1)),
    Case("GRU", bias=False, batch_first=True),
    Case("GRU", bidirectional=True, batch=None, initial_state=False),
]


def theirs(case):
    layer = getattr(torch.nn, case.kind)(case.input_size, case.hidden_size, **case.options).double()
    layer.load_state_dict(
        {name: torch.tensor(value) for name, value in case.torch_parameters().items()}
    )
    xs, given, weights = case.inputs()
    xs = torch.tensor(xs, requires_grad=True)
    states = given and tuple(torch.tensor(part, requires_grad=True) for part in given)
    state = states and (states if len(states) > 1 else states[0])
    ys, last = run(layer, xs, state, case)
    outputs = (ys, *(last if isinstance(last, tuple) else (last,)))
    sum((y * torch.tensor(w)).sum() for y, w in zip(outputs, weights, strict=True)).backward()
    found = {"ys": ys} | dict(zip(case.states, outputs[1:], strict=True)) | {"xs.grad": xs.grad}
    found |= {
        f"{name}.grad": part.grad for name, part in zip(case.states, states or (), strict=False)
    }
    found |= {f"{name}.grad": parameter.grad for name, parameter in layer.named_parameters()}
    return {name: value.detach().numpy() for name, value in found.items()}


def run(layer, xs, state, case):
    if case.lengths is None:
        return layer(xs, state)
    packed = torch.nn.utils.rnn.pack_padded_sequence(
        xs, list(case.lengths), batch_first=case.batch_first, enforce_sorted=False
    )
    ys, last = layer(packed, state)
    padded, _ = torch.nn.utils.rnn.pad_packed_sequence(
        ys, case.batch_first, total_length=case.steps
    )
    return padded, last


def random_case(seed):
    rng = np.random.default_rng(seed)
    kind = str(rng.choice(list(KINDS)))
    batch = [None, 1, 2, 5][rng.integers(4)]
    steps = int(rng.integers(1, 9))
    lengths = None
    if batch and rng.integers(2):
        lengths = tuple(int(n) for n in rng.integers(1, steps + 1, batch))
    flag = lambda: bool(rng.integers(2))
    return Case(
        kind,
        input_size=int(rng.integers(1, 6)),
        hidden_size=int(rng.integers(1, 8)),
        num_layers=int(rng.integers(1, 4)),
        bias=flag(),
        batch_first=flag(),
        bidirectional=flag(),
        nonlinearity=str(rng.choice(["tanh", "relu"])) if kind == "RNN" else None,
        steps=steps,
        batch=batch,
        lengths=lengths,
        initial_state=flag(),
    )


@pytest.mark.parametrize("seed", range(600))
def test_outputs_states_and_gradients_are_torchs(seed):
    case = random_case(seed)
    found, expected = ours(case), theirs(case)
    assert found.keys() <= expected.keys()
    for name, value in found.items():
        np.testing.assert_allclose(
            value, expected[name], rtol=1e-10, atol=1e-10, err_msg=f"{name} of {case}"
        )


def test_the_stored_table_is_what_torch_says():
    stored = json.loads(TABLE.read_text("utf-8"))
    assert len(stored) == len(REFERENCES)
    for case, entry in zip(REFERENCES, stored, strict=True):
        for name, value in theirs(case).items():
            np.testing.assert_allclose(entry["torch"][name], value, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True}, {"bias": False}])
def test_parameters_go_to_torch_and_back(kind, options):
    layer, xs = (
        KINDS[kind](3, 4, **options, rng=0),
        np.random.default_rng(0).standard_normal((5, 2, 3)),
    )
    theirs = getattr(torch.nn, kind)(3, 4, **options).double()
    theirs.load_state_dict(
        {name: torch.tensor(value) for name, value in layer.to_torch_state_dict().items()}
    )
    again = KINDS[kind](3, 4, **options, rng=1)
    again.load_torch_state_dict(theirs.state_dict())
    expected = theirs(torch.tensor(xs))[0].detach().numpy()
    for mine in (layer, again):
        np.testing.assert_allclose(mine(xs)[0].data, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_a_cell_goes_to_torch_and_back(kind):
    cell, x = getattr(tg.nn, f"{kind}Cell")(3, 4, rng=0), np.ones((2, 3))
    theirs = getattr(torch.nn, f"{kind}Cell")(3, 4).double()
    theirs.load_state_dict(
        {name: torch.tensor(value) for name, value in cell.to_torch_state_dict().items()}
    )
    first = lambda state: state[0] if isinstance(state, tuple) else state
    expected = first(theirs(torch.tensor(x))).detach().numpy()
    np.testing.assert_allclose(first(cell(x)).data, expected, rtol=1e-10, atol=1e-12)


if __name__ == "__main__":  # python tests/oracle/test_recurrent.py writes the table
    entries = [
        {
            "case": {
                k: v
                for k, v in dataclasses.asdict(case).items()
                if v != getattr(Case("RNN"), k) or k == "kind"
            },
            "torch": {name: value.tolist() for name, value in theirs(case).items()},
        }
        for case in REFERENCES
    ]
    TABLE.write_text(
        json.dumps(entries, indent=None, separators=(",", ":")).replace('{"case"', '\n{"case"')
        + "\n"
    )
