"""Files: every format, the same bytes each time, hostile names harmless, nothing half written."""

import os
import re
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest
from diagrams.networks import Maker, draw, lstm, stack
from diagrams.reading import Picture
from tables import one_in

from tinygrad_rnn.diagrams import Diagram
from tinygrad_rnn.diagrams.picture.render import PNG_MOST, to_png
from tinygrad_rnn.diagrams.picture.shapes import Drawing, Edge, Shape
from tinygrad_rnn.diagrams.picture.theme import LIGHT, THEMES
from tinygrad_rnn.errors import DrawError

HOSTILE = [
    "<b>&\"'",
    "]]>",
    "<script>alert(1)</script>",
    '"]; evil [label="',
    "back\\slash\\N\\G\\l",
    "<<b>html</b>>",
    "nul\0esc\x1b[31m",
    "lone\ud800",
    "🎓 emoji",
    "x" * 300,
    "",
    "line\nbreak",
]


FORK_WHILE_DRAWING = """
import os, signal, threading, warnings
import numpy as np
import tinygrad_rnn as tg
warnings.simplefilter("ignore")  # a process of several threads is forked
w = tg.tensor(np.ones(2), requires_grad=True)
tg.draw((w * w).sum()).svg
drawing = True
def draw():
    while drawing:
        tg.draw((w * w).sum()).svg
thread = threading.Thread(target=draw)
thread.start()
statuses = []
for _ in range(4):
    child = os.fork()
    if not child:
        signal.alarm(20)
        tg.draw((w * w).sum()).svg
        os._exit(0)
    statuses.append(os.waitpid(child, 0)[1])
drawing = False
thread.join()
assert not any(statuses), statuses
"""


@pytest.mark.rest
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_process_that_is_forked_while_another_thread_draws_can_draw():
    subprocess.run([sys.executable, "-c", FORK_WHILE_DRAWING], check=True, timeout=60)


def hostile_network(name):
    maker = Maker()
    maker.row(name, name, name, (name,))
    cells = maker.chain(0, range(3))
    for t, cell in enumerate(cells):
        maker.link("input", maker.input(t, t, name, name), cell)
        maker.link("output", cell, maker.output(t, t, name))
    maker.parameter(name, 2, 3)
    maker.parameter(name, 2, 3)
    return maker.network()


@pytest.mark.filterwarnings("ignore:DejaVu Sans")  # some signs are drawn as boxes
@pytest.mark.parametrize("name", one_in(4, HOSTILE), ids=range(len(HOSTILE)))
def test_hostile_names_stay_text(name):
    diagram = draw(hostile_network(name), view="both", title=name or None)
    drawn = Picture(diagram.svg)
    assert {element.tag.rpartition("}")[2] for element in drawn.root.iter()} <= {
        *("svg", "g", "title", "desc", "path", "polygon", "ellipse", "text", "polyline")
    }
    assert len(drawn.all("parameter")) == 2
    assert len(set(drawn.ids("parameter"))) == 2
    if len(name) < 20:
        from tinygrad_rnn.text import printable

        assert drawn.all("parameter")[0].title == printable(name) + " 2×3"
        assert printable(name) in (*drawn.all("parameter")[0].texts, "")
    assert all(diagram.render(format) for format in (".png", ".pdf", ".dot"))


def test_hostile_names_do_not_widen_the_picture():
    widths = [
        Picture(draw(hostile_network("x" * length), view="both").svg).size[0]
        for length in (60, 300, 3000)
    ]
    assert widths == [widths[0]] * 3
    assert widths[0] < 2 * Picture(draw(hostile_network("x"), view="both").svg).size[0]


@pytest.mark.parametrize("format", one_in(2, Diagram.FORMATS))
def test_same_network_same_bytes(format):
    network = lstm(4, 2, loss="each")
    first, second = (draw(network, view="both").render(format) for _ in range(2))
    assert first == second


def test_same_bytes_in_a_fresh_process():
    script = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from hashlib import sha256\n"
        "from diagrams.networks import draw, lstm\n"
        "for format in ('.svg', '.png', '.pdf', '.dot'):\n"
        "    print(sha256(draw(lstm(3)).render(format)).hexdigest())"
    )
    environment = os.environ | {"PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo"}
    process = subprocess.run(
        [sys.executable, "-c", script, str(Path(__file__).parents[1])],
        capture_output=True,
        text=True,
        env=environment,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert process.stderr == ""
    hashes = [
        sha256(draw(lstm(3)).render(format)).hexdigest()
        for format in (".svg", ".png", ".pdf", ".dot")
    ]
    assert process.stdout.split() == hashes


def test_the_files_are_what_they_claim(tmp_path):
    diagram = draw(stack(3))
    starts = {".svg": b"<?xml", ".png": b"\x89PNG", ".pdf": b"%PDF", ".dot": b"digraph"}
    for format, start in starts.items():
        diagram.save(tmp_path / f"x{format.upper()}")
        assert (tmp_path / f"x{format.upper()}").read_bytes().startswith(start)
    shown = diagram._repr_mimebundle_()["image/svg+xml"]
    assert re.sub(r"<svg [^>]*>", "<svg>", shown) == re.sub(r"<svg [^>]*>", "<svg>", diagram.svg)
    assert re.search(r' viewBox="[^"]*"', shown)[0] in diagram.svg
    assert repr(diagram) == "<Diagram: Unrolled RNNCell: 3 steps, 1 layer>"


def test_text_stays_text_in_a_font_everybody_has():
    svg = draw(stack(2)).svg
    assert set(re.findall('font-family="([^"]*)"', svg)) == {
        "DejaVu Sans, Verdana, Geneva, sans-serif"
    }
    assert "hₜ = tanh(W_hh hₜ₋₁ + W_xh xₜ + b_h)" in svg
    assert "<!DOCTYPE" not in svg


@pytest.mark.parametrize("name", ["x.gif", "x", "x.svg.zip", ".svg"])
def test_unknown_extension(tmp_path, name):
    with pytest.raises(DrawError, match=r"use one of \.svg, \.pdf, \.png, \.dot"):
        draw(stack(2)).save(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_unwritable_path_leaves_nothing(tmp_path):
    with pytest.raises(FileNotFoundError):
        draw(stack(2)).save(tmp_path / "missing" / "x.svg")
    (tmp_path / "x.svg").mkdir()
    with pytest.raises(OSError, match=r"x\.svg"):
        draw(stack(2)).save(tmp_path / "x.svg")
    assert [path.name for path in tmp_path.iterdir()] == ["x.svg"]


def test_too_wide_for_a_png(tmp_path):
    diagram = draw(stack(300), fold=None)
    with pytest.raises(DrawError, match=r"[\d,]+ px wide.*32,767.*fold=3.*\.svg or \.pdf"):
        diagram.save(tmp_path / "x.png")
    assert list(tmp_path.iterdir()) == []
    diagram.save(tmp_path / "x.svg")


def test_too_high_for_a_png_says_what_helps():
    with pytest.raises(DrawError, match=r"px high.*\.svg or \.pdf, or with (\d+) dots") as refused:
        to_png("", 100.0, 40_000.0, 144)
    assert "fold" not in str(refused.value)  # columns are what is folded: it would be as high
    dpi = int(re.search(r"(\d+) dots", str(refused.value))[1])
    assert dpi * 40_000 / 72 <= PNG_MOST < (dpi + 1) * 40_000 / 72


def test_an_edge_of_thousands_of_bends_is_drawn():
    points = tuple((float(x % 7), float(x)) for x in range(3 * 3000 + 1))
    ends = [Shape(id, "cell", "circle", 0.0, y, 9.0, 9.0, "cell.0.fill", "text") for id, y in ENDS]
    edge = Edge("way", "message", "a", "b", points, "text")
    diagram = Diagram(Drawing(tuple(ends), (edge,)), LIGHT, "long", "", str)
    (drawn,) = Picture(diagram.svg).all("message")
    assert drawn.points[-1][1] == pytest.approx(drawn.points[0][1] - 9000, abs=10)


ENDS = [("a", 0.0), ("b", 9000.0)]


def test_a_pdf_finds_its_objects():
    pdf = draw(stack(3)).render(".pdf")
    table = int(re.search(rb"startxref\n(\d+)", pdf)[1])
    assert pdf[table:].startswith(b"xref")
    for number, offset in enumerate(re.findall(rb"(?m)^(\d{10}) \d{5} n", pdf[table:]), 1):
        assert pdf[int(offset) :].startswith(b"%d 0 obj" % number)


def test_drawing_is_silent(capfd):
    draw(stack(100, 2), fold=None).render(".svg")
    assert capfd.readouterr() == ("", "")


def test_a_picture_grows_with_the_copies_it_shows_and_with_nothing_else():
    sizes = {steps: len(draw(stack(steps, 2), fold=None).dot) for steps in (20, 40, 80)}
    assert sizes[80] - sizes[40] == pytest.approx(2 * (sizes[40] - sizes[20]), rel=0.05)
    assert len(draw(stack(2000, 2)).dot) < sizes[20]


def test_importing_is_cheap():
    code = (
        "import sys, tinygrad_rnn.diagrams\n"
        "print({'matplotlib', 'pygraphviz', 'graphviz'} & set(sys.modules))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert run.stdout.strip() == "set()"


@pytest.mark.parametrize("format", [".png", ".pdf"])
def test_characters_that_the_font_lacks_are_named(format):
    diagram = draw(hostile_network("日本語"))
    with pytest.warns(UserWarning, match="does not have 日 本 語: a box .* SVG and HTML"):
        diagram.render(format)
    assert "日本語" in diagram.svg


@pytest.mark.parametrize("theme", THEMES.values(), ids=list(THEMES))
def test_two_layers_in_two_directions_have_a_colour_each(theme):
    assert len({theme.color(f"cell.{row}.fill") for row in range(4)}) == 4
