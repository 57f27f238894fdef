"""Thousands of generated names: each file is re-parsed, its structure unchanged, its text as it was given."""

import random
from xml.etree import ElementTree

import pygraphviz
import pytest
from diagrams.test_rendering import hostile_network
from hypothesis import given, settings
from hypothesis import strategies as st

from tinygrad_rnn.diagrams import draw_network
from tinygrad_rnn.diagrams.diagram import Diagram, Drawing, Shape, Text
from tinygrad_rnn.diagrams.dot import to_dot
from tinygrad_rnn.diagrams.theme import LIGHT
from tinygrad_rnn.text import printable

ACTIVE = [
    '"',
    "\\",
    "<",
    ">",
    "&",
    "]]>",
    "\\N",
    "\\G",
    "&amp;",
    "<b>",
    "\0",
    "\x1b[31m",
    "\u202e",
    "\ud800",
    "\n",
    "{|}",
    ";",
]
names = st.lists(st.sampled_from(ACTIVE) | st.text(max_size=4), max_size=8).map("".join)


def diagram_of(texts):
    shapes = tuple(
        Shape(
            f"s{k}",
            "cell",
            "box",
            0.0,
            30.0 * k,
            90.0,
            20.0,
            "#FFFFFF",
            "#000000",
            texts=(Text(text, 0, 30 * k, 9, "#000000"),),
        )
        for k, text in enumerate(texts)
    )
    return Diagram(Drawing(shapes), LIGHT, texts[0], texts[-1], str)


def generated(rng):
    """A text of signs that act somewhere, and of any characters whatever."""
    parts = [
        rng.choice(ACTIVE) if rng.random() < 0.6 else chr(rng.randrange(0x110000)) for _ in range(rng.randrange(9))
    ]
    return "".join(parts)


@pytest.mark.parametrize("seed", range(10))
def test_five_thousand_texts_in_dot_and_svg(seed):
    """Ten pictures with five hundred texts each."""
    rng = random.Random(seed)
    texts = [generated(rng) for _ in range(500)]
    diagram = diagram_of(texts)
    graph = pygraphviz.AGraph(string=to_dot(diagram))
    written = sum(bool(text) for text in texts)
    assert (len(graph.nodes()), len(graph.edges())) == (1 + len(texts) + written, 0)
    root = ElementTree.fromstring(diagram.svg.encode())
    found = ["".join(element.itertext()) for element in root.iter("{http://www.w3.org/2000/svg}text")]
    shown = [printable(text) for text in texts if text]
    assert [text.replace("\xa0", " ").strip() for text in found] == [t.replace("\xa0", " ").strip() for t in shown]


@settings(max_examples=25, deadline=None)
@given(names)
def test_a_network_of_hostile_names_has_the_structure_of_any(name):
    def structure(text):
        svg = draw_network(hostile_network(text), view="both").svg
        return [element.get("class") for element in ElementTree.fromstring(svg.encode()).iter() if element.get("class")]

    assert structure(name) == structure("name")
