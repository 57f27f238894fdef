"""The museum in every view: what the DOT says is what was computed, and nothing covers anything."""

import re
from collections import defaultdict
from functools import cache
from typing import NamedTuple

import numpy as np
import pygraphviz
import pytest
from diagrams.flaws import crossing, flaws, grazing, lying_on_each_other, running_near
from diagrams.reading import Picture
from diagrams.test_quotient_pictures import NAMES, network, recorded
from tables import rows

import tinygrad_rnn as tg
from tinygrad_rnn.diagrams.grid.standing import Standing
from tinygrad_rnn.errors import DrawError

SAMPLE = ["residual_stack"]
EVERY = rows(NAMES, SAMPLE, pytest.mark.slow)
VIEWS = {
    "unrolled": {"gradients": True},
    "plain": {},
    "rolled": {"view": "rolled"},
    "both": {"view": "both", "gradients": True},
    "ops": {"view": "ops"},
    "ops with gradients": {"view": "ops", "gradients": True},
    "backward": {"view": "backward"},
    "depth": {"depth": 2},
}
EVERY_VIEW = pytest.mark.parametrize("view", VIEWS)
EVERY_NAME = pytest.mark.parametrize("name", EVERY)


@cache
def drawn(name, view):
    network(name)
    return tg.draw(recorded(name), fold=None, **VIEWS[view])


class Read(NamedTuple):
    """The graph in a DOT: what a program sees that knows nothing of us."""

    texts: dict[str, str]  # the labels of nodes
    edges: dict[str, tuple[str, str, str]]  # by id: from, to, class; "" is not seen


@cache
def read_back(name, view):
    graph = pygraphviz.AGraph(string=drawn(name, view).dot)
    texts = {str(node): re.sub(r"\\[lrn]$", "", node.attr["label"]) for node in graph.nodes()}
    edges = {e.attr["id"]: (*map(str, e), e.attr["class"] or "") for e in graph.edges()}
    graph.close()
    return Read(texts, edges)


def edges_of(name, view, *kinds):
    """The edges by their ids: of these kinds, or what goes forward between blocks."""
    apart = {"ramp", "legend", "wire", "gradient", ""}
    return {
        id: (source, target)
        for id, (source, target, kind) in read_back(name, view).edges.items()
        if (kind in kinds if kinds else kind not in apart)
    }


def arrows_of(quotient, standing):
    """What is joined with what, by the ids of what is drawn: told by the arrows alone."""
    output_of = {output.source for output in quotient.outputs}
    for arrow in quotient.arrows:
        source, target = arrow.source, arrow.target
        if target in standing.moves or target not in standing.item_of:
            continue
        if target is quotient.loss and standing.resolved(source) in output_of:
            continue  # by way of the output
        if source in standing.item_of:
            yield standing.item_of[source], standing.item_of[target]


@EVERY_NAME
def test_the_dot_joins_what_the_arrows_join_and_nothing_else(name):
    quotient = network(name)
    standing = Standing(quotient)
    outputs = {output.id for output in quotient.outputs}
    whole = {circle: block.id for block in quotient.blocks for circle in block.circles}
    edges = edges_of(name, "plain").values()
    found = {(whole.get(a, a), b) for a, b in edges if b not in outputs and a not in outputs}
    pairs = set(arrows_of(quotient, standing))
    assert found == pairs
    ends = {(a, b) for a, b in edges if b in outputs}
    assert ends == {(standing.item_of[o.source], o.id) for o in quotient.outputs}


@EVERY_NAME
def test_what_passes_through_boxes_can_be_followed_there(name):
    """A passage is not seen: what is seen leads from the one of its ends to the other."""
    after = defaultdict(set)
    for source, target in edges_of(name, "plain").values():
        after[source].add(target)
    for id, (source, target) in edges_of(name, "plain", "").items():
        reached, stack = set(), [source]
        while stack:
            new = after[stack.pop()] - reached
            reached |= new
            stack += new
        assert target in reached, id


def last_digit(number):
    """What the last digit of a number counts: 0.01 of "0.57", 1e-5 of "6e-5"."""
    mantissa, _, exponent = number.partition("e")
    return 10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2]))


@EVERY_NAME
def test_the_dot_says_the_names_of_states_and_the_norms_of_their_gradients(name):
    quotient = network(name)
    texts = read_back(name, "unrolled").texts
    for cell in quotient.cells:
        said = [texts[node] for node in (f"{cell.id}/{k}" for k in range(12)) if node in texts]
        assert said[0] == cell.label or "…" in said[0]
        norms = [number for text in said[1:] for number in re.findall(r"‖∇[^‖]*‖ (\S+)", text)]
        expected = [
            np.linalg.norm(piece.of(np.asarray(quotient.gradients[piece.node.id])))
            for piece in cell.states or cell.outputs[:1]
            if piece.node.id in quotient.gradients and piece.node.requires_grad
        ]
        assert len(norms) == len(expected)
        for number, norm in zip(norms, expected, strict=True):
            assert abs(float(number) - norm) <= 0.51 * last_digit(number)


@EVERY_NAME
def test_what_comes_back_is_drawn_beside_what_went_forward_and_nowhere_else(name):
    forward, back = edges_of(name, "unrolled"), edges_of(name, "unrolled", "gradient")
    for id, (source, target) in back.items():
        assert forward[id.removeprefix("gradient-")] == (target, source)
    assert back == edges_of(name, "backward", "gradient")


@EVERY_NAME
def test_ids_stay_when_blocks_are_opened(name):
    """What joins two blocks is called the same in every view of the copies."""
    closed = set(edges_of(name, "plain"))
    both = {id for id in edges_of(name, "both") if not id.startswith("rolled-")}
    assert both == closed
    for view in ("ops", "depth"):
        ids = {re.sub(r"-\d+$", "", id) for id in edges_of(name, view)} | set(edges_of(name, view))
        assert closed <= ids


@EVERY_VIEW
@EVERY_NAME
def test_nothing_covers_crosses_or_is_cut_off(name, view):
    assert flaws(drawn(name, view).drawing) == []


@EVERY_VIEW
@pytest.mark.parametrize("name", rows(NAMES, ["luong"], pytest.mark.slow))
def test_nothing_covers_crosses_or_is_cut_off_beside_the_fold(name, view):
    assert flaws(tg.draw(recorded(name), fold=1, **VIEWS[view]).drawing) == []


@pytest.mark.parametrize("name", rows(["rwkv", "qrnn", "mamba", "world_model"], ["rwkv"]))
def test_what_comes_back_on_one_line_is_drawn_once_and_without_the_names_of_what_went_forward(name):
    drawing = drawn(name, "backward").drawing
    assert lying_on_each_other(drawing) == []
    assert not [shape for shape in drawing.shapes if shape.cls == "label"]


@pytest.mark.rest
def test_all_pictures_together_are_as_plain_as_they_have_been_made():
    """Bounds from above on all of them: lower these when a way of drawing gets better."""
    drawings = [drawn(name, "plain").drawing for name in NAMES]
    for rule in (lying_on_each_other, running_near, grazing):
        assert [flaw for one in drawings for flaw in rule(one)] == []
    assert sum(len(crossing(one)) for one in drawings) <= 27
    assert sum(len(crossing(one, messages=True)) for one in drawings) <= 331
    assert sum(one.bounds.right - one.bounds.left for one in drawings) <= 115_000


@EVERY_VIEW
@EVERY_NAME
def test_ids_are_unique_in_every_view(name, view):
    ids = [part.id for part in Picture(drawn(name, view).svg).parts]
    assert len(set(ids)) == len(ids)


def test_a_program_without_time_is_whole_in_its_views():
    for view in ({}, {"view": "ops"}, {"depth": 2}):
        drawing = tg.draw(recorded("transformer"), **view).drawing
        assert [flaw for flaw in flaws(drawing) if "passes" not in flaw] == []
    with pytest.raises(DrawError, match="nothing recurrent"):
        tg.draw(recorded("transformer"), gradients=True)
