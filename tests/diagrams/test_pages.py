"""The player in other pages and in a notebook, on paper, and where scripts are not allowed."""

import base64
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pytest
from diagrams.networks import draw, stack
from diagrams.test_player import HOSTILE, browser  # noqa: F401

import tinygrad_rnn as tg
from tinygrad_rnn.diagrams.picture.render import PNG_MOST
from tinygrad_rnn.errors import DrawError


@pytest.fixture(scope="module")
def loss():
    ys, _ = tg.nn.RNN(3, 4, rng=0)(np.eye(3))
    return (ys**2).mean()


@pytest.fixture
def show(browser):  # noqa: F811
    """Shows HTML in a page, which must not complain of anything that a script did."""
    contexts, complaints = [], []

    def shown(body, **options):
        contexts.append(browser.new_context(viewport={"width": 980, "height": 900}, **options))
        page = contexts[-1].new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: (complaints.append(dialog.message), dialog.dismiss()))
        page.set_content(f"<!doctype html><title>a notebook</title><body>{body}</body>")
        return page

    yield shown
    for context in contexts:
        context.close()
    assert complaints == []


COLORS = """[...document.querySelector('#diagram').querySelectorAll('polygon, path, rect, text')]
    .map(e => getComputedStyle(e).fill + getComputedStyle(e).stroke)"""
IDS = "[...document.querySelectorAll('[id]')].map(e => e.id)"
REFERENCES = """[...document.querySelectorAll('[aria-labelledby], [for], [href^="#"]')]
    .filter(e => !e.hidden)
    .flatMap(e => [e.getAttribute('aria-labelledby'), e.getAttribute('for'), e.hash?.slice(1)])
    .filter(Boolean)"""


def test_two_players_in_one_page_leave_each_other_and_the_page_alone(show, loss):
    first = tg.draw(loss, gradients=True).html
    second = tg.draw(loss, view="ops", theme="dark").html
    alone = show(first).evaluate(COLORS)
    page = show(f"<p>before</p><div>{first}</div><div>{second}</div>")
    assert page.evaluate(COLORS) == alone
    ids = page.evaluate(IDS)
    assert len(ids) == len(set(ids))
    assert set(page.evaluate(REFERENCES)) <= set(ids)
    counters = lambda: [page.inner_text(f"#{at}player-counter")[0] for at in ("", "p2-")]
    page.click("#player-next")
    assert counters() == ["1", "0"]
    page.keyboard.press("ArrowRight")  # of the one that has the focus
    page.click("#p2-player-last")
    assert counters() == ["2", "4"]
    page.click("#p2-cell-0-1")
    assert "h₁" in page.inner_text("#p2-player-part")
    assert "h₁" not in page.inner_text("#player-part-title")
    page.click("p >> text=before")
    page.keyboard.press("End")  # is the page's own
    assert counters() == ["2", "4"]
    before = "document.querySelector('body > p')"
    plain = show("<p>before</p>").evaluate(f"getComputedStyle({before}).font")
    assert page.evaluate(f"getComputedStyle({before}).font") == plain
    assert page.evaluate("getComputedStyle(document.body).margin") == "8px"


def test_in_a_notebook_a_player_has_a_frame_as_high_as_it_is(show, loss):
    frames = [tg.draw(loss, gradients=True, title=name).player() for name in HOSTILE[:2]]
    page = show("".join(f"<div>{frame._repr_html_()}</div>" for frame in frames))
    inside = page.frames[1:]
    assert len(inside) == 2
    for number, frame in enumerate(inside):
        frame.wait_for_selector("#player-counter")
        high = frame.evaluate("document.querySelector('.tinygrad-player').offsetHeight")
        page.wait_for_function(f"document.querySelectorAll('iframe')[{number}].height >= {high}")
    inside[0].click("h1")
    page.keyboard.press("ArrowRight")
    assert [frame.inner_text("#player-counter")[0] for frame in inside] == ["1", "0"]
    assert page.evaluate("document.querySelectorAll('script, iframe').length") == 4
    assert page.evaluate("document.querySelector('iframe').getAttribute('sandbox')") == (
        "allow-scripts"
    )
    with pytest.raises(Exception, match=r"cross-origin|Blocked a frame"):
        inside[0].evaluate("parent.document.title")


def test_a_frame_of_a_height(loss):
    diagram = tg.draw(loss)
    assert 'height="400"' in diagram.player(400)._repr_html_()
    assert "data-fit" not in diagram.player(400)._repr_html_()
    assert repr(diagram.player()) == "<Player: Unrolled RNNCell: 3 steps, 1 layer>"
    for bad in (0, 99, 3001, float("nan")):
        with pytest.raises(DrawError, match="from 100 to 3,000"):
            diagram.player(bad)
    with pytest.raises(DrawError, match="nothing recurrent"):
        tg.draw(tg.tensor([1.0], requires_grad=True).sum()).player()


@contextmanager
def served(html, policy):
    """An address where a page is served with a policy of what it may do."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Security-Policy", policy)
            self.end_headers()
            self.wfile.write(html.encode())

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize("forbidden", ["scripts switched off", "default-src 'self'"])
def test_where_no_script_may_run_the_whole_picture_is_there_and_it_is_said(show, loss, forbidden):
    html = tg.draw(loss, gradients=True).html
    expected = show(html).evaluate(COLORS)
    if forbidden.startswith("scripts"):
        page = show(html, java_script_enabled=False)
    else:
        page = show("")
        with served(html, forbidden) as address:
            page.goto(address)
        assert page.evaluate(COLORS) == expected
    assert "The picture stands still" in page.inner_text("#player-still")
    assert page.is_visible("#cell-0-2")
    for dead in ("#player-play", "#player-theme", "#player-part", "#player-ledger"):
        assert not page.is_visible(dead)


def test_a_header_that_allows_what_the_page_names_lets_it_play(show, loss):
    html = tg.draw(loss).html
    policy = html.split('Content-Security-Policy" content="')[1].split('"')[0]
    page = show("")
    with served(html, policy.replace("&#x27;", "'")) as address:
        page.goto(address)
    page.keyboard.press("ArrowRight")
    assert page.inner_text("#player-counter").startswith("1")


def test_on_paper_the_picture_is_whole_and_no_button_is_left(show, loss):
    page = show("")
    page.set_content(tg.draw(loss, gradients=True, theme="dark").html)
    page.emulate_media(media="print")
    opacity = "getComputedStyle(document.querySelector('#cell-0-2')).opacity"
    page.wait_for_function(f"{opacity} === '1'")
    assert not page.is_visible("#player-play")
    assert not page.is_visible("#player-theme")
    background = "getComputedStyle(document.querySelector('.tinygrad-player')).backgroundColor"
    assert page.evaluate(background) == "rgb(255, 255, 255)"
    page.keyboard.press("ArrowRight")
    page.wait_for_function(f"{opacity} < '0.2'")  # a step is printed as it is shown


def test_a_notebook_gets_every_format_it_may_want(loss):
    diagram = tg.draw(loss, title="日本")  # what the font lacks is no warning in a notebook
    bundle = diagram._repr_mimebundle_()
    assert list(bundle) == ["image/svg+xml", "image/png", "application/pdf", "text/plain"]
    assert base64.b64decode(bundle["image/png"]).startswith(b"\x89PNG")
    assert base64.b64decode(bundle["application/pdf"]).startswith(b"%PDF")
    assert list(diagram._repr_mimebundle_(include={"text/plain"})) == ["text/plain"]
    assert "image/png" not in diagram._repr_mimebundle_(exclude={"image/png"})


def test_a_player_stands_still_where_a_notebook_is_printed(loss):
    player = tg.draw(loss).player()
    bundle = player._repr_mimebundle_()
    assert list(bundle) == ["text/html", "image/png", "application/pdf", "text/plain"]
    assert bundle["text/html"] == player._repr_html_()
    assert base64.b64decode(bundle["application/pdf"]).startswith(b"%PDF")
    rest = player._repr_mimebundle_(exclude={"text/html", "image/png"})
    assert list(rest) == ["application/pdf", "text/plain"]


def test_a_wide_picture_fits_the_cell_and_keeps_its_shape(show):
    svg = draw(stack(30), fold=None)._repr_mimebundle_()["image/svg+xml"]
    image = base64.b64encode(svg.encode()).decode()  # as notebooks that are exported have it
    page = show(
        f'<div style="width:700px" id="cell">{svg.partition("?>")[2]}</div>'
        f'<div style="width:700px" id="image"><img src="data:image/svg+xml;base64,{image}"></div>'
    )
    natural = draw(stack(30), fold=None).size
    for shown in ("#cell svg", "#image img"):
        box = page.locator(shown).bounding_box()
        width, height = box["width"], box["height"]
        assert width == pytest.approx(700, abs=1)
        assert width / height == pytest.approx(natural[0] / natural[1], rel=0.02)


def test_the_png_of_a_notebook_is_small_however_large_the_picture():
    png = base64.b64decode(
        draw(stack(80), fold=None)._repr_mimebundle_(include=["image/png"])["image/png"]
    )
    assert int.from_bytes(png[16:20], "big") <= 2010 < PNG_MOST
