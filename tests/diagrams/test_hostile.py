"""Thousands of generated names: files parse, their structure and texts are unchanged."""

import functools
import json
import random
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pygraphviz
import pytest
from diagrams.networks import draw
from diagrams.test_rendering import hostile_network
from hypothesis import given, settings
from hypothesis import strategies as st
from tables import examples, one_in, rows

import tinygrad_rnn as tg
from tinygrad_rnn.diagrams.picture.diagram import Diagram
from tinygrad_rnn.diagrams.picture.shapes import Drawing, Shape, Text
from tinygrad_rnn.diagrams.picture.theme import LIGHT
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
# Five hundred texts or names a seed; every seed's are looked at by `-m slow`.
SEEDS = rows(range(10), [0], pytest.mark.slow)
names = st.lists(st.sampled_from(ACTIVE) | st.text(max_size=4), max_size=8).map("".join)


class Elements(HTMLParser):
    """What a browser would build of a page: elements with their attributes' names, scripts."""

    def __init__(self, page):
        super().__init__()
        self.found, self.scripts = [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, *(name for name, _ in attrs)))

    def handle_data(self, data):
        if self.lasttag == "script" and data.strip():
            self.scripts.append(data)


def run_with_names(names):
    """A loop of one step for every two names: of its inputs, some of a parameter and calls too."""
    W = tg.tensor([[0.5]], requires_grad=True, name=names[0])
    h = tg.tensor([0.0])
    with tg.trace() as tr:
        for one, other in zip(names[::2], names[1::2], strict=True):
            x, z = tg.tensor([1.0], name=one), tg.tensor([-1.0], name=other)
            with tg.scope(names[1]):
                h = W @ h + x + z
        h.sum().backward()
    return tr


def strings(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from strings(part)


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
            "cell.0.fill",
            "text",
            texts=(Text(text, 0, 30 * k, 9, "text"),),
        )
        for k, text in enumerate(texts)
    )
    return Diagram(Drawing(shapes), LIGHT, texts[0], texts[-1], str)


def generated(rng):
    """A text of signs that act somewhere, and of any characters whatever."""
    parts = [
        rng.choice(ACTIVE) if rng.random() < 0.6 else chr(rng.randrange(0x110000))
        for _ in range(rng.randrange(9))
    ]
    return "".join(parts)


@pytest.mark.parametrize("seed", SEEDS)
def test_thousands_of_texts_in_dot_and_svg(seed):
    rng = random.Random(seed)
    texts = [generated(rng) for _ in range(500)]
    diagram = diagram_of(texts)
    graph = pygraphviz.AGraph(string=diagram.dot)
    written = sum(bool(text) for text in texts)
    assert (len(graph.nodes()), len(graph.edges())) == (1 + len(texts) + written, 0)
    root = ElementTree.fromstring(diagram.svg.encode())
    found = [
        "".join(element.itertext()) for element in root.iter("{http://www.w3.org/2000/svg}text")
    ]
    shown = [printable(text) for text in texts if text]
    assert [text.replace("\xa0", " ").strip() for text in found] == [
        t.replace("\xa0", " ").strip() for t in shown
    ]


@functools.cache
def page_of_plain_names():
    names = [f"~{k}" for k in range(500)]
    return Elements(tg.draw(run_with_names(names), title=names[2]).html)


@pytest.mark.rest
@pytest.mark.parametrize("seed", SEEDS)
def test_thousands_of_names_in_html(seed):
    """A page of them has the elements of a plain page, and holds every name."""
    rng = random.Random(seed)
    names = [
        f"{generated(rng)}~{k}" for k in range(500)
    ]  # all of them different, and none of them empty
    page, plain = (
        Elements(tg.draw(run_with_names(names), title=names[2]).html),
        page_of_plain_names(),
    )
    assert page.found == plain.found
    score, script = page.scripts
    assert script == plain.scripts[1]
    said = "\n".join(strings(json.loads(score)))
    assert [name for name in names if printable(name) not in said] == []


def structure(diagram):
    elements = ElementTree.fromstring(diagram.svg.encode()).iter()
    return [element.get("class") for element in elements if element.get("class")]


@functools.cache
def opened(texts):
    run = run_with_names([f"{text}~{k}" for k, text in enumerate(texts)])
    return structure(tg.draw(run, view="ops", gradients=True))


@functools.cache
def both_views(text):
    return structure(draw(hostile_network(text), view="both"))


@pytest.mark.rest
@settings(max_examples=examples(8), deadline=None)
@given(st.lists(names, min_size=4, max_size=4))
def test_opened_copies_with_gradients_of_hostile_names_have_the_structure_of_any(given_names):
    assert opened(tuple(given_names)) == opened(("a", "b", "c", "d"))


@settings(max_examples=examples(25), deadline=None)
@given(names)
def test_a_network_of_hostile_names_has_the_structure_of_any(name):
    assert both_views(name) == both_views("name")


class Translator(tg.nn.Module):
    """A decoder with attention whose every module, scope and value is called so."""

    def __init__(self, name):
        self.name = name
        self.cell = tg.nn.GRUCell(4, 4, rng=0)
        setattr(self, name, tg.nn.Linear(8, 4, rng=1))
        setattr(self, f"{name}'", tg.nn.Linear(4, 3, rng=2))

    def forward(self, xs):
        h, states = self.named(np.zeros(4)), []
        for x in xs:
            with tg.scope(self.name):
                h = self.named(self.cell(x, h))
            states.append(h)
        memory, scores = self.named(tg.ops.stack(states)), []
        for _ in range(2):
            context = tg.ops.softmax(memory @ h) @ memory
            both = tg.ops.concatenate([context, h])
            h = self.cell(tg.ops.tanh(getattr(self, self.name)(both)), h)
            scores.append(self.named(getattr(self, f"{self.name}'")(h)))
        return scores

    def named(self, x):
        x = tg.ops.tanh(x) if isinstance(x, tg.Tensor) else tg.tensor(x)
        x.name = self.name
        return x


@pytest.mark.parametrize(
    "name", one_in(3, ['"><img src=x onerror=alert(3)>', "nul\0 esc\x1b[31m", "lone\ud800"])
)
def test_no_name_breaks_any_view(name):
    model = Translator(name)
    with tg.trace() as trace:
        scores = model([tg.tensor(np.ones(4), name=name) for _ in range(3)])
        loss = sum((score * score).sum() for score in scores)
        loss.name = name
        loss.backward()
    for view in ("unrolled", "rolled", "both", "ops", "backward"):
        diagram = tg.draw(trace, view=view, title=name)
        ids = [part.id for part in (*diagram.drawing.shapes, *diagram.drawing.edges)]
        assert len(set(ids)) == len(ids)
        assert all(re.fullmatch(r"[\w./~-]+", id) for id in ids)
        drawn = diagram.drawing.edges
        passages = sum(len(edge.passages) for edge in drawn)  # said in the DOT, and not drawn
        assert len(pygraphviz.AGraph(string=diagram.dot).edges()) == len(drawn) + passages
        ElementTree.fromstring(diagram.svg.encode())
    assert len(Elements(tg.draw(trace).html).scripts) == 2
    assert [tag for tag, *_ in Elements(tg.draw(trace).player()._repr_html_()).found] == [
        "script",
        "iframe",
    ]


def test_no_name_breaks_a_compiled_picture():
    W = tg.nn.Parameter(np.eye(2))
    W.name = '"]; evil [label="<b>'
    fast = tg.compile(lambda x: (x @ W).sum())
    fast(np.ones((2, 2)))
    fast(np.ones((2, 2)))
    diagram = tg.draw(fast, view="compiled")
    assert all(re.fullmatch(r"[\w./~-]+", shape.id) for shape in diagram.drawing.shapes)
    ElementTree.fromstring(diagram.svg.encode())
