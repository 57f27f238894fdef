"""Models that PyTorch exported, see data/onnx/make.py: the same numbers, drawn and debugged."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import tinygrad_rnn as tg
from tinygrad_rnn.cli import cli

KEPT = Path(__file__).parents[1] / "data" / "onnx"
# Copies of cells, by their classes: what a person would draw.
COPIES = {
    "char_lstm": {"LSTMCell": 5},
    "seq2seq": {"GRUCell": 5 + 3},
    "tagger": {"GRUCell": 5 + 5},
    "loop": {"Body": 4},
}
NAMES = {
    "char_lstm": {"embedding.weight", "lstm.LSTM.cells.0.W_hh", "head.weight", "head.bias"},
    "seq2seq": {"source.weight", "attention.query.weight", "attention.score.weight",
                "decoder.weight_hh", "encoder.GRU.cells.0.W_xh"},
    "tagger": {"gru.GRU.cells.0.W_xh", "gru.GRU.cells.1.W_xh", "head.weight"},
    "loop": {"x2h.weight", "x2h.bias", "h2h.weight", "h2h.bias"},
}  # fmt: skip


def example(name):
    with np.load(KEPT / f"{name}.npz") as file:
        arrays = dict(file)
    return arrays.pop("output"), arrays


@pytest.mark.parametrize("name", COPIES)
def test_a_model_of_pytorch_computes_the_same_and_is_drawn(name):
    output, inputs = example(name)
    network = tg.onnx.load(KEPT / f"{name}.onnx")
    with tg.trace() as run:
        made = network(**inputs)
        (made * made).mean().backward()
    np.testing.assert_allclose(made.data, output, rtol=1e-5, atol=1e-6)
    assert made.dtype == np.float32
    parameters = dict(network.named_parameters())
    assert NAMES[name] <= parameters.keys()
    assert all(p.grad is not None for p in parameters.values())
    calls = {
        call.id: type(call.owner).__name__ for node in run.run.nodes.values() for call in node.calls
    }
    assert COPIES[name].items() <= Counter(calls.values()).items()
    assert tg.draw(run, gradients=True).title.startswith("Unrolled")


def test_its_gradients_are_right():
    """In double precision, every parameter, through the loop as well."""
    _, inputs = example("loop")
    network = tg.onnx.load(KEPT / "loop.onnx", dtype=np.float64)
    parameters = list(network.parameters())
    assert tg.gradcheck(lambda *_: (network(**inputs) ** 2).sum(), parameters)


def test_it_is_saved_trained_and_compiled(tmp_path):
    _, inputs = example("tagger")
    network = tg.onnx.load(KEPT / "tagger.onnx", dtype=np.float64)
    optimizer = tg.optim.Adam(network.parameters(), lr=0.01)
    tags = np.zeros((5, 2), int)

    def step():
        loss = tg.nn.nll_loss(network(**inputs), tags)
        loss.backward()
        return loss

    first = step().item()
    optimizer.step()
    optimizer.zero_grad()
    compiled = tg.compile(step)
    losses = []
    for _ in range(3):
        losses.append(compiled().item())
        optimizer.step()
        optimizer.zero_grad()
    assert losses[-1] < losses[0] < first
    tg.save(tmp_path / "t.safetensors", network)
    again = tg.onnx.load(KEPT / "tagger.onnx", dtype=np.float64)
    tg.load(tmp_path / "t.safetensors", into=again)
    np.testing.assert_array_equal(again(**inputs).data, network(**inputs).data)


def test_it_is_debugged():
    commands = "jump end\nlast logits\nwhy logits[2,0,1]\n"
    arguments = ["debug", str(KEPT / "char_lstm.onnx"), "--random", "--length", "3"]
    result = CliRunner().invoke(cli, [*arguments, "--commands", "-"], input=commands)
    assert result.exit_code == 0, result.output
    assert "logits" in result.output
