"""The table of widths is the font's, and cutting to a width keeps to it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath

from tinygrad_rnn.diagrams.picture.text_metrics import fit, text_width


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
