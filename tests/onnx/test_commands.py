"""`draw`, `debug` and `check` of a model that another program exported."""

import numpy as np
import pytest
from click.testing import CliRunner

import tinygrad_rnn as tg
from tinygrad_rnn.cli import cli


class Model(tg.nn.Module):
    def __init__(self):
        self.table = tg.nn.Embedding(7, 3, rng=0)
        self.rnn = tg.nn.GRU(3, 4, rng=1)

    def forward(self, ids):
        return self.rnn(self.table(ids))[0]


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tg.onnx.save("m.onnx", Model(), np.array([[1], [0], [6]]))
    return lambda *words, **options: CliRunner().invoke(cli, list(words), **options)


def test_a_model_is_drawn_checked_and_debugged(run, tmp_path):
    result = run("draw", "m.onnx", "--random", "-o", "m.svg", "--gradients")
    assert result.exit_code == 0, result.output
    assert "3 steps" in result.output
    result = run("check", "m.onnx", "--random", "--samples", "4")
    assert result.exit_code == 0, result.output
    assert result.output.count("│ ok") == 5
    np.savez("x.npz", ids=np.array([[1], [2], [3]]))
    commands = "print table.weight[0,0]\n"
    result = run("debug", "m.onnx", "--inputs", "x.npz", "--commands", "-", input=commands)
    assert result.exit_code == 0, result.output
    assert f"{Model().table.weight.data[0, 0]:.4g}"[:5] in result.output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["m.onnx"], "m.onnx takes ids int64 (3, 1): give --inputs x.npz or --random"),
        (["m.onnx", "--random", "--axis", "time=2"], "it has no open axis time"),
        (["m.onnx", "--inputs", "none.npz"], "none.npz: not a file of arrays"),
        (["m.onnx", "--inputs", "y.npz"], "holds ['jds']; the model takes ids int64 (3, 1)"),
        (["m.onnx", "--inputs", "y.npz", "--random"], "give --inputs, or --random"),
        (["m.onnx", "--axis", "time"], 'must be like "time=5"'),
        (["m.onnx", "more", "--random"], "takes no arguments: more"),
        (["--random"], "are for an ONNX model"),
        (["no.onnx", "--random"], "No such file"),
    ],
)
def test_what_does_not_go_together_is_one_line(run, words, message):
    np.savez("y.npz", jds=np.array([1]))
    result = run("draw", *words)
    assert result.exit_code == 2
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()[-1]) < 200
