"""A model that talks, and its text coloured by a unit."""

import io

import numpy as np
import pytest
from rich.console import Console

import tinygrad_rnn as tg
from tinygrad_rnn.errors import TrainingError
from tinygrad_rnn.training.data import Vocabulary
from tinygrad_rnn.training.neurons import bounded, digits, painted, show
from tinygrad_rnn.training.sampling import Read, sample

ABC = Vocabulary("abc")


def cycling():
    """A network that has learnt abcabc…: each letter has a unit, which votes for the next."""
    model = tg.nn.RNN(3, 3, output_size=3)
    model.W_xh.data, model.W_hh.data, model.b_h.data = 5 * np.eye(3), np.zeros((3, 3)), np.zeros(3)
    model.W_hy.data, model.b_y.data = 9 * np.roll(np.eye(3), 1, axis=0), np.zeros(3)
    return model


def text(reads):
    return "".join(read.character for read in reads)


@pytest.mark.parametrize("temperature", [0.0, 0.1])
def test_it_says_what_it_has_learnt(temperature):
    reads = list(sample(cycling(), ABC, prime="ab", length=7, temperature=temperature, rng=0))
    assert text(reads) == "abcabcabc"
    np.testing.assert_allclose(reads[0].units, [np.tanh(5), 0, 0], atol=1e-12)


def test_temperature_one_draws_from_the_softmax():
    model = cycling()
    model.W_hy.data = np.zeros((3, 3))
    model.b_y.data = np.log([0.5, 0.3, 0.2])
    drawn = text(sample(model, ABC, prime="a", length=3000, rng=0))[1:]
    np.testing.assert_allclose([drawn.count(c) / 3000 for c in "abc"], [0.5, 0.3, 0.2], atol=0.03)


def test_the_same_seed_says_the_same_again():
    model = tg.nn.GRU(3, 4, output_size=3, rng=0)
    said = [text(sample(model, ABC, prime="a", length=50, rng=seed)) for seed in (1, 1, 2)]
    assert said[0] == said[1] != said[2]


def test_an_lstm_shows_its_memory():
    model = tg.nn.LSTM(3, 4, num_layers=2, output_size=3, rng=0)
    (read,) = sample(model, ABC, prime="b", length=0)
    _, (_, c) = model(ABC.one_hot(np.array([1]), np.float64))
    np.testing.assert_allclose(read.units, np.tanh(c.data[-1]), rtol=1e-12)


def test_sampling_leaves_the_model_as_it_was():
    model = tg.nn.RNN(3, 4, num_layers=2, dropout=0.5, output_size=3, rng=0)
    first = next(reads := sample(model, ABC, prime="ab", length=9))
    assert first.character == "a"
    assert not model.training
    reads.close()
    assert model.training
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prime": ""}, "the prime is empty"),
        ({"prime": "xyz"}, "the model has never seen 'x', 'y', 'z'; it knows 'abc'"),
        (
            {"prime": "a", "temperature": -1.0},
            "the temperature must be finite and at least 0, got -1.0",
        ),
    ],
)
def test_what_cannot_be_asked(options, message):
    with pytest.raises(TrainingError, match=message):
        next(sample(cycling(), ABC, **options))


# Colours


def console(**options):
    return Console(file=io.StringIO(), width=20, **options)


def test_each_character_stands_on_the_colour_of_its_value():
    result = painted("ab\n", np.array([1.0, -1.0, 0.0]))
    styles = [str(span.style) for span in result.spans]
    assert result.plain == "ab␤\n"
    assert styles == [
        "white on rgb(180,4,38)",
        "white on rgb(59,76,192)",
        "black on rgb(245,245,245)",
    ]


def test_digits_stand_below_their_characters():
    assert list(digits("abc\nde", np.array([-1.0, 0.0, 1.0, 1.0, 0.5, -0.5]), 2)) == [
        "ab",
        "04",
        "c",
        "9",
        "de",
        "72",
    ]


def test_values_of_a_relu_are_scaled():
    assert bounded(np.array([0.0, 4.0])).tolist() == [0.0, 1.0]
    assert bounded(np.array([0.0, 0.4])).tolist() == [0.0, 0.4]


def test_text_from_a_hostile_vocabulary_cannot_act_on_the_terminal():
    reads = [Read(c, np.zeros(1)) for c in "\x1b[31m"]
    for out in (console(), console(force_terminal=True, color_system="truecolor", no_color=True)):
        show(reads, [0], out)
        assert "\x1b[31m" not in out.file.getvalue()


def test_show_uses_colours_on_a_terminal_and_digits_elsewhere():
    reads = [Read("a", np.array([0.0, 1.0])), Read("b", np.array([0.0, -1.0]))]
    plain = console()
    show(reads, [1], plain)
    assert plain.file.getvalue().splitlines()[1:] == ["unit 1", "ab", "90"]
    colours = console(force_terminal=True, color_system="truecolor", _environ={})
    show(reads, [1], colours)
    assert "48;2;180;4;38" in colours.file.getvalue()
