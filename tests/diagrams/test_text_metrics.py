"""The table of widths is the font's, and cutting to a width keeps to it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath

from tinygrad_rnn.diagrams.picture.text_metrics import (
    broken,
    broken_behind_names,
    fit,
    fit_apart,
    fit_middle,
    text_width,
)


def test_widths_are_those_of_the_font():
    for weight in ("normal", "bold"):
        font = FontProperties(family="DejaVu Sans", weight=weight)
        for text in ("|hₜ = tanh(W_hh hₜ₋₁ + W_xh xₜ + b_h)|", "|∂L/∂h₁₂ ⊙ σ|", "|Wäßrig × Ω|"):
            drawn = TextPath((0, 0), text, size=100, prop=font).get_extents().width
            assert drawn < text_width(text, 100, bold=weight == "bold") < 1.1 * drawn + 30


@pytest.mark.rest
@given(st.text(), st.floats(10, 200))
def test_fit_keeps_to_the_width(text, width):
    assert text_width(fit(text, width, 10), 10) <= width + 1e-9 or fit(text, width, 10) == "…"


LONG = "recurrent_blocks.{}.{}_to_hidden_transition_weight_matrix"


@pytest.mark.parametrize(
    "texts",
    [
        [LONG.format(k, "hidden") for k in (0, 1, 12)],
        [LONG.format(k, kind) for k in (0, 1) for kind in ("hidden", "hadden", "h")],
        ["W_hh", "W_xh", *(LONG.format(k, "hidden")[9:] for k in (0, 1))],
        [
            f"encoder_weight_matrix_from_{read}_to_{gate}_gate"
            for read in ("previous_hidden", "current_input")
            for gate in ("input", "forget", "output", "candidate")
        ],
    ],
)
@pytest.mark.parametrize("width", [220, 140])
def test_names_that_differ_are_cut_so_that_they_still_do(texts, width):
    cut = fit_apart(texts, width, 13)
    assert len(set(cut)) == len(texts)
    for text, shown in zip(texts, cut, strict=True):
        assert text_width(shown, 13) <= width
        first, last = shown.split("…")[0], shown.split("…")[-1]
        assert text.startswith(first)
        assert text.endswith(last)


def test_names_that_are_cut_differently_anyway_lose_their_middle_alone():
    texts = [LONG.format(0, "hidden"), "other_" + LONG.format(0, "hidden"), "h"]
    assert fit_apart(texts, 220, 13) == [fit_middle(text, 220, 13) for text in texts]


@pytest.mark.parametrize(
    ("formula", "lines"),
    [
        ("p = σ(weight s + bias)[0]; p ⊙ s", ["p = σ(weight s + bias)[0];", "p ⊙ s"]),
        ("(conv[0] ⊙ u + conv[1] ⊙ v) ⊙ σ(u)", ["(conv[0] ⊙ u + conv[1] ⊙ v)", "⊙ σ(u)"]),
        ("Σₜ cross_entropy(logits, words) / 5", ["Σₜ cross_entropy(logits, words)", "/ 5"]),
        ("2 Σ (C ⊙ h_re − B ⊙ h_im) + D ⊙ u", ["2 Σ (C ⊙ h_re − B ⊙ h_im)", "+ D ⊙ u"]),
        ("softmax(queries keysᵀ) values_of_all", ["softmax(queries keysᵀ)", "values_of_all"]),
        ("log_pi + a_longer_name[observations]", ["log_pi +", "a_longer_name[observations]"]),
        ("Z, F, O = weight one_longer_name", ["Z, F, O = weight", "one_longer_name"]),
        ("a_name_that_has_no_place_to_break_it", ["a_name_that_has_no_place_to_break_it"]),
        ("short", ["short"]),
    ],
)
def test_a_formula_is_broken_where_it_is_in_the_fewest_brackets(formula, lines):
    assert broken(formula, 165, 10) == lines


@pytest.mark.parametrize(
    ("formula", "lines"),
    [
        ("rest = 1 − p", ["rest = 1 − p"]),
        ("remainder = 1 − (0 + p)", ["remainder =", "1 − (0 + p)"]),
        ("action = tanh(codes + bias)", ["action =", "tanh(codes + bias)"]),
        # A line more than when it is broken elsewhere.
        ("a = tanh(weight codes) + bias", ["a = tanh(weight", "codes) + bias"]),
        ("softmax(scores, axis=-1) + bias", ["softmax(scores,", "axis=-1) + bias"]),
    ],
)
def test_what_a_formula_names_stands_above_it_where_that_takes_no_more_lines(formula, lines):
    assert broken_behind_names(formula, 120, 10) == lines
