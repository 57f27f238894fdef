"""Generated names on the terminal: as many lines as with any names, and nothing that acts."""

import functools
import random
import unicodedata

import pytest
from diagrams.test_hostile import SEEDS, generated, run_with_names

from tinygrad_rnn.debugger.plain import Transcript
from tinygrad_rnn.debugger.session import Session
from tinygrad_rnn.text import printable

COUNT = 200
ACTS = {"Cc", "Cs", "Zl", "Zp"}
BIDI = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def lines_of(names):
    """What the debugger writes about each event of a run."""
    written = []
    session = Session(run_with_names(names))
    transcript = Transcript(session, written.append)
    for index in range(len(session.trace.events)):
        session.cursor = index
        transcript.show_position()
    return "".join(written).split("\n")


@functools.cache
def number_of_plain_lines():
    return len(lines_of([f"~{k}" for k in range(COUNT)]))


@pytest.mark.rest
@pytest.mark.parametrize("seed", SEEDS)
def test_hundreds_of_names_on_the_terminal(seed):
    rng = random.Random(seed)
    # All of them different, and none of them empty.
    names = [f"{generated(rng)}~{k}" for k in range(COUNT)]
    lines = lines_of(names)
    assert len(lines) == number_of_plain_lines()
    for character in set("".join(lines)):
        assert unicodedata.category(character) not in ACTS, ascii(character)
        assert unicodedata.bidirectional(character) not in BIDI, ascii(character)
    text = "\n".join(lines)
    assert [name for name in names if printable(name) not in text] == []
