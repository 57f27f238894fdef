"""Every claim of the small studies holds for what is measured, and is refuted by a wrong theory."""

import math

import numpy as np
import pytest
from tables import one_in

import tinygrad_rnn as tg
from tinygrad_rnn.studies import STUDIES, Record
from tinygrad_rnn.studies.anbn import tells_the_end, word
from tinygrad_rnn.studies.conduct import run_one
from tinygrad_rnn.studies.memorise import CHANCE, LENGTH, READ, every_text, sentences
from tinygrad_rnn.studies.tasks import brackets, counting, first_of_two, xor_stream


def rows(name, settings, measured):
    return [row.holds for row in STUDIES[name]().rows([Record(settings, 0, measured, 1.0)])]


XOR = [math.log(2) if t % 3 != 1 else 0.01 for t in range(24)]
LEARNED = {"updates": [0, 60], "errors": [0.7, 0.05]}
STAYED = {"updates": [0, 400], "errors": [0.7, math.log(2)]}
WAVE = {"taught": [0.001] * 30, "alone": [0.001] + [0.01 * t for t in range(1, 30)]}
UNIT = {"unit": 3, "scores": [0.1, 0.2, 0.1, 0.99], "chance": 0.2}
COUNTS = {"unit": 3, "score": 0.99, "told": [1.0] * 9 + [0.0] * 3}
KNOWN = {"loss": 0.004, "updates": 420, "right": 0.95, "exchanged": 0.93, "easy": 0.001}
FLAT = {"largest": [1.0], "least": [1.0]}

# study, settings, what would be measured if it holds, and what a wrong theory foresees
THEORIES = {
    "the sum is enough": ("order", {"model": "sum of the inputs"}, STAYED, LEARNED),
    "order is lost on a network": ("order", {"model": "RNN"}, LEARNED, STAYED),
    "all bits can be told": (
        "elman-xor",
        {"cell": "RNN"},
        {"losses": XOR},
        {"losses": [0.01] * 24},
    ),
    "no bit can be told": (
        "elman-xor",
        {"cell": "RNN"},
        {"losses": XOR},
        {"losses": [math.log(2)] * 24},
    ),
    "the period is two": (
        "elman-xor",
        {"cell": "RNN"},
        {"losses": XOR},
        {"losses": [math.log(2) if t % 2 else 0.01 for t in range(24)]},
    ),
    "a rotation shrinks": (
        "orthogonal",
        {"init": "orthogonal"},
        FLAT,
        {"largest": [0.999], "least": [0.998]},
    ),
    "a right norm on the average is enough": (
        "orthogonal",
        {"init": "N(0, 1/H)"},
        {"largest": [1e6], "least": [1e-6]},
        FLAT,
    ),
    "the usual weights keep it": (
        "orthogonal",
        {"init": "U(±1/√H)"},
        {"largest": [1e-10], "least": [1e-30]},
        FLAT,
    ),
    "alone it does as well": (
        "exposure",
        {"cell": "RNN"},
        WAVE,
        {**WAVE, "alone": WAVE["taught"]},
    ),
    "no unit has a meaning": (
        "neurons",
        {"trained": True},
        UNIT,
        {**UNIT, "scores": [0.3, 0.3, 0.2, 0.35]},
    ),
    "the best of many is chance": ("neurons", {"trained": True}, UNIT, {**UNIT, "chance": 0.95}),
    "the letters tell it": (
        "neurons",
        {"trained": False},
        {**UNIT, "scores": [0.1, 0.4]},
        {**UNIT, "scores": [0.93]},
    ),
    "it knows the words by heart": (
        "anbn",
        {"cell": "LSTM"},
        COUNTS,
        {**COUNTS, "told": [1.0] * 8 + [0.0] * 4},
    ),
    "the last letters are enough": (
        "memorise",
        {"cell": "LSTM"},
        KNOWN,
        {**KNOWN, "right": 0.5, "exchanged": 0.5},
    ),
    "all of the past counts for all": (
        "memorise",
        {"cell": "LSTM"},
        KNOWN,
        {**KNOWN, "easy": 2.0},
    ),
    "the text alternates, and the word is not read": (
        "memorise",
        {"cell": "LSTM"},
        KNOWN,
        {**KNOWN, "exchanged": 0.04},
    ),
    "the number is nowhere": ("anbn", {"cell": "LSTM"}, COUNTS, {**COUNTS, "score": 0.5}),
}


@pytest.mark.parametrize("theory", THEORIES)
def test_a_claim_is_refuted_where_a_wrong_theory_would_be_right(theory):
    name, settings, measured, foreseen = THEORIES[theory]
    assert all(rows(name, settings, measured))
    assert not all(rows(name, settings, foreseen))


@pytest.mark.parametrize("name", one_in(2, ["orthogonal", "exposure"]))
def test_every_claim_of_a_quick_study_holds(name):
    study = STUDIES[name]()
    records = [run_one(study, seed, run) for seed in range(2) for run in study.runs(False)]
    assert [row for row in study.rows(records) if not row.holds] == []
    assert study.charts(records)


def test_the_first_of_two_cannot_be_told_from_the_sum():
    inputs, first = first_of_two(np.random.default_rng(0), 7, 300)
    sums = inputs.sum(0)
    assert (sums == sums[0]).all()
    symbols = inputs.argmax(-1)
    assert [next(s for s in column if s != 2) for column in symbols.T] == first.tolist()


def test_every_third_bit_is_the_xor_of_the_two_before():
    inputs, following = xor_stream(np.random.default_rng(0), 12, 50)
    bits = inputs.argmax(-1)
    np.testing.assert_array_equal(bits[2::3], bits[:-2:3] ^ bits[1:-1:3])
    np.testing.assert_array_equal(bits[1:].reshape(-1), following[:-50])


def test_a_stream_of_words_counts_to_the_same_number_of_both_letters():
    inputs, following = counting(np.random.default_rng(0), 60, 20, most=5)
    letters = inputs.argmax(-1)
    np.testing.assert_array_equal(letters[1:].reshape(-1), following[:-20])
    heights = np.cumsum(1 - 2 * letters, axis=0)
    assert heights.min() == 0
    assert heights.max() == 5


def test_brackets_open_and_close_in_turn():
    inputs, _ = brackets(np.random.default_rng(0), 80, 20)
    symbols = inputs.argmax(-1)
    for column in symbols.T:
        turns = column[column >= 4]
        assert turns.tolist() == [4 + k % 2 for k in range(len(turns))]


def test_a_sentence_says_nothing_of_the_next_and_all_of_itself():
    """One who reads whole sentences has exactly the loss that is said to be chance."""
    inputs, following = every_text()
    steps, count = inputs.shape[:2]
    assert (steps, count) == (READ * LENGTH - 1, 2**READ)
    read = inputs.argmax(-1)
    asked = following.reshape(steps, count)
    np.testing.assert_array_equal(read[1:], asked[:-1])
    lost = 0.0
    for t in range(steps):
        ways = {}
        for column in range(count):
            ways.setdefault(tuple(read[: t + 1, column]), set()).add(asked[t, column])
        assert len({len(way) for way in ways.values()}) == 1
        lost += math.log(len(ways.popitem()[1])) / steps
    assert lost == pytest.approx(CHANCE)
    drawn, _ = sentences(np.random.default_rng(0), READ, 400)
    assert {tuple(column) for column in drawn.argmax(-1).T} == {tuple(column) for column in read.T}


def test_the_end_of_a_word_is_told_only_by_one_who_expects_it_there():
    class Always(tg.nn.Module):
        def __init__(self, letter):
            self.letter = letter

        def forward(self, xs):
            ys = np.zeros((*xs.shape[:2], 2))
            ys[..., self.letter] = 1.0
            return tg.tensor(ys), None

    assert word(2, 1).tolist() == [0, 0, 1, 1, 0, 1]
    assert not tells_the_end(Always(1), 3, 2)
    assert not tells_the_end(Always(0), 3, 2)
    assert tells_the_end(Always(0), 1, 2)
