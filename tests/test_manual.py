"""Every op can be explained: its rule, its source, an example, a check that can fail."""

import numpy as np
import pytest
from click.testing import CliRunner
from tables import one_in

import tinygrad_rnn as tg
from tinygrad_rnn import manual
from tinygrad_rnn.cli import cli
from tinygrad_rnn.errors import OpError


@pytest.mark.parametrize("name", one_in(4, [entry.name for entry in manual.table()]))
def test_every_op_explains_itself(name):
    result = CliRunner().invoke(cli, ["explain", name], terminal_width=200)
    assert result.exit_code == 0, result.output
    assert manual.find(name).rule.split()[0] in result.output
    assert "@op(" in result.output or "op(None, None" in result.output or "compare" in result.output
    assert "y = " in result.output
    assert result.output.count(": ok") == 2 or "Not differentiable" in result.output


def test_an_example_is_the_op_itself():
    example = manual.example(manual.find("tanh"))
    (x,) = example.inputs
    np.testing.assert_array_equal(example.output, np.tanh(x))
    np.testing.assert_allclose(example.gradients[0], example.cotangent * (1 - np.tanh(x) ** 2))


def test_the_table_is_every_op():
    result = CliRunner().invoke(cli, ["explain"], terminal_width=200)
    assert result.exit_code == 0
    assert all(entry.name in result.output for entry in manual.table())
    assert {"add", "matmul", "tanh", "getitem", "cross_entropy", "less"} <= {
        entry.name for entry in manual.table()
    }


def test_numpys_name_finds_the_op():
    assert manual.find("multiply").name == "mul"
    assert manual.find("@").name == "matmul"
    assert manual.find("tg.ops.tanh").name == manual.find("np.tanh").name == "tanh"
    assert manual.find("mul").numpy == "multiply"


def test_an_unknown_op_says_which_are_close():
    with pytest.raises(OpError, match="did you mean tanh"):
        manual.find("tanhh")
    assert CliRunner().invoke(cli, ["explain", "nonsense"]).exit_code == 2


def test_a_wrong_formula_is_the_answer_no():
    @tg.op(lambda g, y, x: 2 * g)
    def wrong(x):
        """The same: y = x; x̄ = ȳ."""
        return x + 0.0

    verdicts = manual.verdicts(manual.Entry("wrong", None, "", wrong))
    assert "from backward" in verdicts["first derivative"]
