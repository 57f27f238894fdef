"""The debugger's screen as a picture: what it shows, and nothing that it would have to fetch."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.debugger.picture import picture
from tinygrad_rnn.errors import DrawError

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def run():
    x = tg.tensor([3.0, -1.0], requires_grad=True, name=HOSTILE)
    with tg.trace() as tr:
        (tg.ops.tanh(x) * np.array([2.0, 1.0])).sum().backward()
    return tr


def words(svg):
    tree = ElementTree.fromstring(svg)
    text = "".join("".join(part.itertext()) for part in tree.iter() if part.tag.endswith("text"))
    return text.replace("\xa0", " ")


def test_it_shows_the_event_that_the_commands_lead_to(run, tmp_path):
    drawn = picture(run, ["break bwd op=tanh", "continue"], columns=90, rows=24)
    assert "backward · tanh" in words(drawn.svg)
    assert "backward · tanh" not in words(picture(run, rows=24).svg)
    drawn.save(tmp_path / "screen.svg")
    assert (tmp_path / "screen.svg").read_text("utf-8") == drawn.svg
    assert drawn._repr_mimebundle_()["image/svg+xml"] == drawn.svg


def test_it_asks_for_nothing_and_runs_nothing(run):
    svg = picture(run, rows=24).svg
    assert "script>alert(1)" in words(svg)
    assert "<script" not in svg
    assert re.findall(r"url\((?!#)[^)]*\)", svg) == []
    assert "@import" not in svg


@pytest.mark.parametrize("size", [{"columns": 20}, {"rows": 500}])
def test_a_terminal_of_no_size_is_refused(run, size):
    with pytest.raises(DrawError, match="40 to 300 columns"):
        picture(run, **size)


def test_a_notebook_shows_it_once(run, monkeypatch):
    """Rich displays what it prints where it finds IPython's kernel."""

    class ZMQInteractiveShell:
        pass

    shown = []
    monkeypatch.setattr("builtins.get_ipython", ZMQInteractiveShell, raising=False)
    monkeypatch.setattr("rich.jupyter.display", lambda *printed: shown.append(printed))
    assert "tanh" in words(picture(run, rows=24).svg)
    assert shown == []
