"""Pictures of what would have been: what differs is coloured by how much, what is equal says so."""

import re
import shutil

import numpy as np
import pytest
from click.testing import CliRunner
from diagrams.reading import Picture
from diagrams.recorded import trained
from diagrams.test_geometry import check_shapes_and_edges, check_texts

import tinygrad_rnn as tg
from tinygrad_rnn.cli import cli
from tinygrad_rnn.errors import DrawError, TraceError
from tinygrad_rnn.tracing.network.gradients.influence import influence_on
from tinygrad_rnn.training.word import Speller


@pytest.fixture(scope="module")
def run():
    return trained(tg.nn.LSTM, layers=2)


@pytest.fixture(scope="module")
def other(run):
    return run.what_if({"h@1": lambda h: h * 0})


@pytest.mark.parametrize("view", ["unrolled", "both"])
def test_nothing_overlaps(run, other, view):
    diagram = tg.draw(other, against=run, view=view)
    check_shapes_and_edges(diagram)
    check_texts(diagram.drawing)


def norms(part):
    return [float(text) for text in re.findall(r"‖Δ[^‖]*‖ = ([^;]+)", part.title)]


def test_copies_and_messages_say_how_far_they_are_off(run, other):
    picture = Picture(tg.draw(other, against=run).svg)
    steps = {part.id: part for part in picture.all("cell")}
    for t in range(4):
        for layer, suffix in ((0, ""), (1, "_l1")):
            expected = [
                np.linalg.norm(other[f"{state}{suffix}@{t}"] - run[f"{state}{suffix}@{t}"])
                for state in ("h", "c")
            ]
            got = norms(steps[f"cell-{layer}-{t}"])
            np.testing.assert_allclose(got, expected, rtol=1e-3)
    assert norms(steps["cell-0-0"]) == norms(steps["cell-1-0"]) == [0.0, 0.0]
    assert "h equal · c equal" in steps["cell-0-0"].texts
    for message in picture.all("message"):
        first, then = re.findall(r"cell-(\d)-(\d)", message.id)
        state = "" if first[0] == "0" else "_l1"
        apart = [
            np.linalg.norm(other[f"{name}{state}@{first[1]}"] - run[f"{name}{state}@{first[1]}"])
            for name in ("h", "c")
        ]
        assert norms(message) == [pytest.approx(np.hypot(*apart), rel=1e-3)]
        assert int(then[1]) == int(first[1]) + 1


def test_the_strip_shows_every_step(run, other):
    picture = Picture(tg.draw(other, against=run).svg)
    marks = {part.id: part.title for part in picture.all("mark")}
    for t in range(4):
        apart = np.linalg.norm(other[f"h@{t}"] - run[f"h@{t}"])
        assert float(marks[f"mark-0-0-{t}"].partition(": ")[2]) == pytest.approx(apart, rel=1e-3)


def test_the_way_to_an_output_that_nobody_reads_says_how_far_it_is_off():
    spelled = Speller.of("abcd")
    with tg.trace() as tr:
        spelled.loss("last").backward()
    picture = Picture(tg.draw(tr.what_if({"h@1": 0.0}), against=tr).svg)
    ways = {part.id[-1]: norms(part) for part in picture.all("link") if "output-" in part.title}
    assert ways["0"] == [0.0]
    assert all(ways[t][0] > 0 for t in "12")


def test_nothing_changed_is_exactly_equal_everywhere(run):
    picture = Picture(tg.draw(run.what_if({}), against=run).svg)
    assert {norm for part in picture.all("cell") for norm in norms(part)} == {0.0}


def test_two_recordings_of_one_program_can_be_compared_and_two_programs_not(run):
    again = trained(tg.nn.LSTM, layers=2)
    picture = Picture(tg.draw(again, against=run).svg)
    assert {norm for part in picture.all("cell") for norm in norms(part)} == {0.0}
    with pytest.raises(DrawError, match="these are two programs"):
        tg.draw(trained(), against=run)
    for view in ("ops", "rolled", "backward"):
        with pytest.raises(DrawError, match='view="unrolled" or "both"'):
            tg.draw(run, against=run, view=view)
    with pytest.raises(DrawError, match="give two traces"):
        tg.draw(run, against=run.graph())


def test_influence_is_the_gradient_of_one_value(run):
    """The triangle: a value depends on no later step, and on earlier ones as `grad` says."""
    graph = run.influence_on("y@2[1]")
    for t in range(4):
        node = run.queries.find(f"h@{t}", len(run.events) - 1).node
        assert (node.id in graph.gradients) == (t <= 2)
    rnn, xs = tg.nn.RNN(3, 4, output_size=2, rng=0), tg.tensor(np.ones((3, 1, 3)))
    xs.requires_grad = True
    with tg.trace() as tr:
        ys, _ = rnn(xs)
    node = tr.queries.find("y@1", len(tr.events) - 1).node
    ours = influence_on(node, (0, 1))
    (expected,) = tg.grad(ys[1, 0, 1], [xs])
    np.testing.assert_allclose(ours[xs.id], expected.data, rtol=1e-12)
    assert not expected.data[2].any()


def test_influence_on_an_output_is_on_what_made_it_and_on_no_other(run):
    picture = Picture(tg.draw(run, gradients="y@2").svg)
    (size,) = {node.size for node in run.graph().nodes if run.name(node) == "y"}
    for part in picture.all("between", "output", "loss"):
        (norm,) = re.findall(r"‖∂y@2/∂[^‖]*‖ = ([^;]+)", part.title)
        expected = np.sqrt(size) if part.id in ("between-0-2", "output-2") else 0
        assert float(norm) == pytest.approx(expected, rel=1e-3)
    with pytest.raises(TraceError, match="x@1 depends on nothing that requires a gradient"):
        tg.draw(run, gradients="x@1")


def test_influence_is_drawn_and_named(run):
    picture = Picture(tg.draw(run, gradients="y@2").svg)
    titles = [part.title for part in picture.all("cell")]
    assert all("‖∂y@2/∂h‖" in title for title in titles)
    assert "Influence" in [text for part in picture.all("legend") for text in part.texts]
    with pytest.raises(TraceError, match="there is no 'q'"):
        tg.draw(run, gradients="q@2")
    with pytest.raises(DrawError, match="give the trace"):
        tg.draw(tg.nn.RNN(3, 4)(np.ones((3, 1, 3)))[0], gradients="y@2")
    with pytest.raises(TraceError, match="is a gradient: name a value"):
        tg.draw(run, gradients="d.h@1")


def test_the_command_draws_changes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def draw(*options):
        return CliRunner().invoke(cli, ["draw", "--text", "abc", "-o", "x.svg", *options])

    assert draw("--set", "h@1 *= 0", "--set", "W_xh[0] = 0", "--against").exit_code == 0
    assert "‖Δ" in (tmp_path / "x.svg").read_text("utf-8")
    for coloured in (["--gradients"], ["--view", "backward"]):
        assert draw(*coloured, "--of", "y@1").exit_code == 0
        assert "∂y@1/∂" in (tmp_path / "x.svg").read_text("utf-8")
    for options in (
        ["--against"],
        ["--of", "y@1"],
        ["--gradients", "--of", ""],
        ["--set", "q = 0"],
    ):
        assert draw(*options).exit_code == 2


@pytest.mark.rest
def test_the_player_switches_between_run_branch_and_difference(run, other, tmp_path):
    page = tg.draw(other, against=run)
    page.save(tmp_path / "x.html")
    text = (tmp_path / "x.html").read_text("utf-8")
    assert text.count("<iframe") == 2
    assert [f"> {name}<" in text for name in ("the run", "what would have been")] == [True, True]
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
    if chromium is None:
        pytest.skip("there is no Chromium")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        shown = browser.new_page()
        errors = []
        shown.on("pageerror", lambda error: errors.append(str(error)))
        shown.goto((tmp_path / "x.html").as_uri())
        assert shown.locator("img").is_visible()
        shown.locator("label").nth(1).click()
        frame = shown.frame_locator("#pane-1")
        frame.locator("button").first.wait_for()
        assert not shown.locator("img").is_visible()
        browser.close()
    assert errors == []
