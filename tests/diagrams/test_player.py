"""The player: what is in the page, and what it does in a real browser."""

import json
import re
import shutil
from importlib.resources import files
from importlib.util import find_spec
from itertools import combinations, product

import numpy as np
import pytest
from diagrams.networks import draw, lstm
from tables import one_in

import tinygrad_rnn as tg
from tinygrad_rnn.diagrams.player.recording import PAGE_MOST, recording
from tinygrad_rnn.diagrams.player.tensors import rounded
from tinygrad_rnn.errors import DrawError
from tinygrad_rnn.text import printable
from tinygrad_rnn.tracing.network.blocks import network_of
from tinygrad_rnn.tracing.network.gradients.flow import norm_of
from tinygrad_rnn.tracing.questions.ledger import uses_in
from tinygrad_rnn.tracing.script import run_script
from tinygrad_rnn.training.word import Speller

HOSTILE = [
    "<script>alert(1)</script>",
    "</script><script>alert(2)</script>",
    "<!--<script>",
    '"><img src=x onerror=alert(3)>',
    "<svg onload=alert(4)>",
    "javascript:alert(5)",
    "{{style}}",
    "${alert(6)}",
    "</style><style>*{display:none}</style>",
    "';alert(7);//",
    "\u2028alert(8)\u2029",
    "nul\0 esc\x1b[31m",
    "\u202egnp.exe",
    "lone\ud800",
    "&lt;b&gt; ]]>",
    "{0} {y} __proto__",
]


def spelled(text="hello", cell="rnn", layers=2, hidden=4):
    """A recorded forward and backward pass."""
    with tg.trace() as trace:
        Speller.of(text, cell, layers, hidden).loss().backward()
    return trace


def score_of(page):
    return json.loads(re.search(r'id="player-score">(.*?)</script>', page, re.DOTALL)[1])


@pytest.fixture(scope="module")
def trace():
    return spelled()


@pytest.fixture(scope="module")
def html(trace):
    return tg.draw(trace).html


@pytest.fixture(scope="module")
def score(html):
    return score_of(html)


# What is in the page


def test_the_steps_are_the_copies_in_the_order_of_the_run_and_back(trace, score):
    phases = [step["phase"] for step in score["steps"]]
    middle = phases.index("seed")
    assert phases == [
        "start",
        *["forward"] * (middle - 1),
        "seed",
        *["backward"] * (middle - 2),
        "end",
    ]
    forward = [step["part"] for step in score["steps"][1:middle]]
    assert forward[:4] == ["cell-0-0", "cell-1-0", "between-0-0", "cell-0-1"]
    assert forward[-1] == "loss"
    back = [step["part"] for step in score["steps"][middle + 1 : -1]]
    assert back == forward[-2::-1]
    network = network_of(trace.graph())
    cell_of = {node: cell.id for cell in network.cells for node in cell.nodes}
    handed_on = [
        cell_of[event.of] for event in trace.events if event.kind == "vjp" and event.of in cell_of
    ]
    assert list(dict.fromkeys(handed_on)) == [part for part in back if part.startswith("cell")]


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_the_rows_of_a_ledger_sum_to_the_recorded_gradient(cell):
    network = network_of(spelled(cell=cell).graph())
    accounts = recording(network, (), PAGE_MOST)["ledgers"]
    for uses, account in zip(uses_in(network), accounts, strict=True):
        gradient = network.gradients[uses.parameter.pieces[0].node.id]
        terms = [term for _, term in uses.terms(network)]
        assert len(terms) == len(account["rows"]) == 4
        np.testing.assert_allclose(sum(terms), gradient, rtol=1e-12, atol=1e-15)
        assert account["rows"][-1]["total"] == rounded(norm_of(sum(terms)))
        steps = [row["step"] for row in account["rows"]]
        assert steps == sorted(set(steps))


def test_a_ledger_counts_each_use_in_the_step_of_its_copy(score):
    for ledger in score["ledgers"]:
        parts = [score["steps"][row["step"]]["part"] for row in ledger["rows"]]
        kind = (
            "between-0"
            if ledger["name"] in ("W_hy", "b_y")
            else "cell-1"
            if ledger["name"].endswith("_l1")
            else "cell-0"
        )
        assert parts == [f"{kind}-{t}" for t in (3, 2, 1, 0)]


def test_numbers_in_the_page_are_the_recorded_ones(trace, score):
    network = network_of(trace.graph())
    for cell in network.cells:
        kind, name, value, gradient, _ = score["tensors"][score["parts"][cell.id]["tensors"][0]]
        assert name == "h" + "₀₁₂₃"[cell.t]
        node = cell.states[0].node
        np.testing.assert_allclose(value, node.data, rtol=5e-4)
        np.testing.assert_allclose(gradient, network.gradients[node.id], rtol=5e-4)
        assert score["shapes"][score["kinds"][kind]["shape"]]["shape"] == [4]


def test_what_refers_to_something_finds_it(html, score):
    for step in score["steps"]:
        assert not step["part"] or step["part"] in score["parts"]
    for part in score["parts"].values():
        assert all(0 <= number < len(score["tensors"]) for number in part["tensors"])
        assert all(f'<g id="{link}"' in html for link in part.get("links", []))
    for _, _, _, _, *inputs in score["tensors"]:
        for given in inputs[0] if inputs else ():
            assert isinstance(given, str | list) or 0 <= given < len(score["tensors"])


def test_each_state_that_a_circle_stands_for_has_its_own_name_in_the_equations():
    score = score_of(tg.draw(spelled("and", "lstm"), view="ops").html)
    inputs = {
        given if isinstance(given, str) else score["tensors"][given][1]
        for _, _, _, _, *made_of in score["tensors"]
        for given in (made_of[0] if made_of else ())
        if not isinstance(given, list)
    }
    assert {"h₋₁", "c₋₁"} <= inputs
    assert "h₋₁, c₋₁" not in inputs


def test_no_equation_calls_two_values_by_one_name():
    """A list's elements, a variable that is bound again, one that is called as an input is."""
    W = [tg.tensor(np.eye(2) * k, requires_grad=True, name=f"W{k}") for k in range(3)]
    with tg.trace() as trace:
        h = tg.tensor(np.zeros(2))
        for x in np.ones((3, 2)):
            with tg.scope("cell"):
                x = tg.tensor(x)
                gates = [tg.ops.sigmoid(x @ w + h) for w in W]
                h = gates[0] * h + gates[1] * tg.ops.tanh(gates[2] * x)
                x = h * gates[0]
                h = x + gates[1]
        (h**2).sum().backward()
    score = score_of(tg.draw(trace, view="ops").html)
    for t in range(3):
        held = score["parts"][f"cell-0-{t}"]["tensors"]
        made_of = [one for number in held for one in score["tensors"][number][4]]
        near = {*held, *(one for one in made_of if isinstance(one, int))}
        names = [score["tensors"][number][1] for number in near]
        assert len(set(names)) == len(names) > 12
        assert {f"gates{prime}{'₀₁₂'[t]}" for prime in ("", "′", "′′")} <= set(names)


def test_numbers_that_are_not_finite_survive_json():
    with tg.trace() as trace:
        h = tg.tensor([0.0, 1.0, -1.0], requires_grad=True)
        for _ in range(3):
            with tg.scope("cell"):
                h = h / tg.tensor([0.0, 0.0, 0.0])
        h.sum().backward()
    score = score_of(tg.draw(trace).html)
    assert {"NaN", "Infinity", "-Infinity"} <= {
        x for _, _, value, *_ in score["tensors"] for x in value if x != 0
    }


def test_without_a_backward_pass_the_forward_pass_is_played():
    ys, _ = tg.nn.RNN(3, 4, rng=0)(np.eye(3))
    score = score_of(tg.draw(ys).html)
    assert {step["phase"] for step in score["steps"]} == {"start", "forward"}
    assert "no backward pass" in score["steps"][0]["text"]
    assert score["ledgers"] == []


@pytest.mark.parametrize(
    ("view", "theme"),
    one_in(2, list(product(["unrolled", "rolled", "both", "ops"], ["light", "dark", "print"]))),
)
def test_every_view_and_theme_plays(trace, view, theme):
    page = tg.draw(trace, view=view, theme=theme).html
    score = score_of(page)
    shown = {score["standIns"].get(step["part"], step["part"]) for step in score["steps"][1:-1]}
    if view == "rolled":
        assert shown == {"cell-0", "cell-1", "between-0", ""}  # there is no loss in it
    assert all(f'<g id="{id}"' in page for id in shown if id)


def test_networks_made_by_hand_play_too():
    assert (
        score_of(draw(lstm(20, 2, loss="each"), view="both").html)["steps"][-1]["phase"]
        == "forward"
    )


def test_folded_copies_are_played_at_the_fold():
    score = score_of(tg.draw(spelled("abcdefgh" * 4), fold=2).html)
    assert score["standIns"]["cell-0-15"] == "fold"
    assert "cell-0-1" not in score["standIns"]
    assert "cell-0-15" in {step["part"] for step in score["steps"]}


def test_same_run_same_bytes(html):
    assert tg.draw(spelled()).html == html


def test_the_file_is_what_was_drawn_and_nothing_else_is_left(trace, html, tmp_path):
    diagram = tg.draw(trace)
    diagram.save(tmp_path / "x.html")
    assert (tmp_path / "x.html").read_text("utf-8") == html
    with pytest.raises(DrawError, match=r"\.html"):
        diagram.save(tmp_path / "x.htm")
    with pytest.raises(OSError, match="no-such-folder"):
        diagram.save(tmp_path / "no-such-folder" / "x.html")
    assert [path.name for path in tmp_path.iterdir()] == ["x.html"]


@pytest.mark.rest
@pytest.mark.parametrize(("cell", "fold"), [("rnn", "auto"), ("lstm", None)])
def test_a_hundred_steps_of_two_layers_stay_under_a_megabyte(cell, fold):
    text = ("the quick brown fox jumps over the lazy dog " * 3)[:101]
    page = tg.draw(spelled(text, cell, hidden=32), fold=fold).html
    assert len(page.encode()) < 1_000_000
    notes = score_of(page)["notes"]
    assert notes[1].startswith("Of arrays with more than")
    opens = any("inside" in part for part in score_of(page)["parts"].values())
    assert opens is not any("cannot be opened" in note for note in notes)


def test_the_page_holds_no_address_and_no_style_or_handler_of_its_own(html):
    markup = re.sub(r"<(script|style)\b.*?</\1>", "", html, flags=re.DOTALL)
    assert not re.search(r"\s(style|src|on\w+)=|url\(|@import", markup)
    assert set(re.findall(r"https?://[^\"'\s]+", html)) <= {"http://www.w3.org/2000/svg"}
    assert "innerHTML" not in html
    assert "'unsafe" not in html


@pytest.mark.parametrize("values", [False, True])
def test_each_colour_of_the_picture_is_a_variable_named_for_its_role(trace, values):
    style, _, picture = tg.draw(trace, values=values).html.partition('id="player-stage"')
    used = set(re.findall(r"var\((--c-[\w-]+),#\w{6}\)", picture))
    assert used == set(re.findall(r"(--c-[\w-]+):light-dark\(#\w{6},#\w{6}\)", style))
    assert {"--c-cell-1-fill", "--c-chip-0", "--c-ramp-5"} < used
    assert ("--c-heat-high" in used) is values
    assert not re.search('="#[0-9a-f]', picture.partition("</svg>")[0])


def hostile_script(folder):
    """A script whose names, scope and very lines are hostile."""
    path = folder / "hostile.py"
    path.write_text(
        "import numpy as np\n"
        "import tinygrad_rnn as tg\n"
        f"names = {HOSTILE!a}\n"
        "W = tg.tensor(np.eye(2), requires_grad=True, name=names[0])\n"
        "b = tg.tensor(np.ones(2), requires_grad=True, name=names[3])\n"
        "h = tg.tensor(np.zeros(2), name=names[1])\n"
        "for name in names:\n"
        "    with tg.scope(names[3]):\n"
        "        x = tg.tensor([1.0, 2.0], name=name)\n"
        "        h = (W @ h + x + b) * 0.5  # </script><script>alert(9)</script>\n"
        "    h.name = name\n"
        "h.sum().backward()\n",
        "utf-8",
    )
    run = run_script(path)
    assert run.error is None
    return run.trace


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    trace = hostile_script(tmp_path_factory.mktemp("hostile"))
    return tg.draw(trace, fold=None, title=HOSTILE[1]).html


def test_hostile_names_stay_in_the_data(hostile):
    said = json.dumps(score_of(hostile), ensure_ascii=False)
    for name in HOSTILE:
        assert json.dumps(printable(name), ensure_ascii=False)[1:-1] in said
    assert len(re.findall("<script", hostile)) == 2
    assert len(re.findall("</script", hostile)) == 2
    assert not set("\u2028\u2029\x00\u202e") & set(hostile)


# What it does, in a browser

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
]


@pytest.fixture(scope="module")
def browser():
    if find_spec("playwright") is None:
        pytest.skip("playwright is not installed: pip install 'tinygrad-rnn[test]'")
    if CHROMIUM is None:
        pytest.skip("there is no Chromium on this machine")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def page(browser):
    """One for all: to load another file takes a fourth of what a new page takes."""
    return browser.new_page()


class Player:
    """A page with a player, and everything that it complained of, asked for or popped up."""

    def __init__(self, page, path, width, **media):
        self.page, self.path = page, path
        self.complaints, self.requests = [], []
        self._listeners = {
            "console": lambda message: self.complaints.append(message.text),
            "pageerror": lambda error: self.complaints.append(str(error)),
            "dialog": self._dismissed,
            "request": lambda request: self.requests.append(request.url),
        }
        for event, listener in self._listeners.items():
            page.on(event, listener)
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(**{"color_scheme": "light", "reduced_motion": "no-preference"} | media)
        page.goto(path.as_uri())

    def _dismissed(self, dialog):
        self.complaints.append(dialog.message)
        dialog.dismiss()

    def press(self, *keys):
        for key in keys:
            self.page.keyboard.press(key)

    def text(self, selector):
        return self.page.locator(selector).inner_text()

    def wait(self, condition):
        for _ in range(200):
            if condition():
                return
            self.page.wait_for_timeout(20)
        raise AssertionError("it never happened")

    @property
    def step(self):
        return int(self.text("#player-counter").split(" / ")[0])

    @property
    def state(self):
        """All that a reader could see or hear: the document, and what stands in its fields."""
        return self.page.evaluate(
            "[document.documentElement.outerHTML, "
            "...[...document.querySelectorAll('input, select')].map(x => x.value)]"
        )

    def close(self):
        assert self.complaints == []
        assert self.requests == [self.path.as_uri()]
        for event, listener in self._listeners.items():
            self.page.remove_listener(event, listener)


@pytest.fixture
def play(page, tmp_path):
    """Opens a player in place of the one before; none may complain or ask for anything."""
    players = []

    def opened(html, width=1280, **media):
        if players:
            players[-1].close()
        path = tmp_path / f"{len(players)}.html"
        path.write_text(html, "utf-8")
        players.append(Player(page, path, width, **media))
        return players[-1]

    yield opened
    players[-1].close()


def test_all_steps_and_back_show_the_same_again(play, html, score):
    player = play(html)
    seen = [player.state]
    for step in score["steps"][1:]:
        player.press("ArrowRight")
        assert step["text"] in player.text("#player-status")
        seen.append(player.state)
    assert len(set(map(str, seen))) == len(seen)
    player.press("ArrowRight")
    assert player.state == seen[-1]
    for earlier in seen[-2::-1]:
        player.press("ArrowLeft")
        assert player.state == earlier
    player.press("End")
    assert player.state == seen[-1]
    player.press("Home")
    assert player.state == seen[0]


def test_the_picture_shows_what_has_happened(play, html):
    player = play(html)
    state = lambda id: player.page.locator(f"[id='{id}']").get_attribute("data-state")
    now = lambda id: player.page.locator(f"[id='{id}']").get_attribute("data-now")
    assert state("cell-0-0") == "todo"
    player.press("ArrowRight")
    assert (state("cell-0-0"), now("cell-0-0"), state("cell-0-1")) == ("done", "forward", "todo")
    player.press("End", "ArrowLeft")
    assert now("cell-0-0") == "backward"
    assert state("gradient-message-cell-0-0-cell-0-1") == "done"
    player.press("Home")
    assert state("gradient-message-cell-0-0-cell-0-1") == "todo"


def test_keys(play, html):
    player = play(html)
    player.press("ArrowRight", "ArrowRight", "ArrowLeft")
    assert player.step == 1
    player.press("ArrowUp")
    assert player.text("#player-part-title") == "Layer 1, t = 0"
    player.press("ArrowDown")
    assert player.text("#player-part-title") == "Layer 0, t = 0"
    player.press("t", "3", "Enter")
    assert player.text("#player-part-title") == "Layer 0, t = 3"
    player.page.locator("h1").click()
    player.press("Home", "]", "]", " ")
    player.wait(lambda: player.step >= 3)
    player.press(" ")
    paused = player.step
    player.page.wait_for_timeout(250)
    assert player.step == paused
    player.press("[")
    assert player.page.locator("#player-speed").input_value() == "4"
    player.press("?")
    assert player.page.locator("dialog").is_visible()
    player.press("Escape")
    assert not player.page.locator("dialog").is_visible()


def test_buttons_scrubber_and_playing_to_the_end(play, html, score):
    player = play(html)
    for name, step in (
        ("next", 1),
        ("next", 2),
        ("back", 1),
        ("last", len(score["steps"]) - 1),
        ("first", 0),
    ):
        player.page.locator(f"#player-{name}").click()
        assert player.step == step
    player.page.locator("#player-scrubber").fill("24")
    assert player.step == 24
    player.page.locator("#player-speed").select_option("10")
    player.page.locator("#player-play").click()
    assert player.page.locator("#player-status").get_attribute("aria-live") == "off"
    player.page.wait_for_selector(".tinygrad-player[data-playing=false]")
    assert player.step == len(score["steps"]) - 1
    assert player.page.locator("#player-status").get_attribute("aria-live") == "polite"


def test_a_click_or_enter_explains_a_part(play, html):
    player = play(html)
    player.press("End")
    player.page.locator("#cell-0-1").click()
    assert "h₁ = tanh(W_xh x₁ + W_hh h₀ + b_h)" in player.text("#player-part")
    player.page.locator("[id='gradient-message-cell-0-1-cell-0-2']").focus()
    player.press("Enter")
    assert player.text("#player-part-title") == "From Layer 0, t = 1 to Layer 0, t = 2"
    assert "∂L/∂h₁[" in player.text("#player-part")
    player.press("Escape")
    assert player.page.locator("#player-follow").count() == 0
    player.page.locator("#parameter-W_hy").click()
    assert player.page.locator("#player-parameter").input_value() == "6"


def test_the_ops_of_an_opened_copy(play, trace):
    player = play(tg.draw(trace, view="ops").html)
    assert player.page.locator("[id='op-1-2-0']").get_attribute("data-state") == "todo"
    player.press("End")
    assert player.page.locator("[id='op-1-2-0']").get_attribute("data-state") == "done"
    player.page.locator("[id='op-1-2-0']").focus()
    player.press("Enter")
    assert player.text("#player-part-title") == "Layer 1, t = 2"
    assert player.text("#player-part [aria-pressed=true]") == "v₁ = h₂ · W_xh_l1ᵀ"


def test_the_gradients_of_an_opened_copy_come_back_with_it(play, trace):
    player = play(tg.draw(spelled(cell="lstm"), view="ops").html)
    state = lambda id: player.page.locator(f"[id='{id}']").get_attribute("data-state")
    back = player.page.locator("[id^='gradient-wire-1-2-']")
    memory = "message-cell-1-1-cell-1-2-1"
    assert back.count() > 15
    assert {state(id) for id in (memory, f"gradient-{memory}", "up-cell-1-2-between-0-2")} == {
        "todo"
    }
    while player.text("#player-part-title") != "Layer 1, t = 2" or "gradient" not in player.text(
        "#player-status"
    ):
        assert {element.get_attribute("data-state") for element in back.all()} == {"todo"}
        player.press("ArrowRight")
    assert {element.get_attribute("data-state") for element in back.all()} == {"done"}
    assert {state(id) for id in (memory, f"gradient-{memory}", "up-cell-1-2-between-0-2")} == {
        "done"
    }
    player.press("ArrowLeft")
    assert {element.get_attribute("data-state") for element in back.all()} == {"todo"}


BOXES = """() => Object.fromEntries([...document.querySelectorAll('#player-stage g[id]')]
    .filter(x => /^(cell|between|input|output|loss|column)-/.test(`${x.id}-`) && x.matches('.node'))
    .map(x => [x.id, x.querySelector('rect, ellipse, polygon').getBBox()])
    .map(([id, { x, y, width, height }]) => [id, [x, y, x + width, y + height]]))"""


def test_blocks_open_and_close_by_click_and_key(play):
    """What stands around makes room: it keeps its order and its size, and comes back."""
    player = play(tg.draw(spelled(cell="lstm"), values=True).html)
    inside = lambda: player.page.locator(".inside [id^='op-0-1-']")
    closed = player.page.evaluate(BOXES)
    player.page.locator("#cell-0-1").click()
    assert inside().count() == 12
    opened = player.page.evaluate(BOXES)
    for id, (left, bottom, right, top) in closed.items():
        x, y, x_end, y_end = opened[id]
        if id == "cell-0-1":
            assert x_end - x > 3 * (right - left)
            assert y_end - y > 3 * (top - bottom)
        elif id.startswith(("input", "output", "loss")):
            assert (x_end - x, y_end - y) == pytest.approx((right - left, top - bottom))
    assert opened["cell-0-1"][2] < opened["column-2"][0]
    assert opened["cell-1-1"][3] < opened["cell-0-1"][1]
    values = player.page.locator("[id^='value-cell-0-1-']").all()
    below = max(box["y"] + box["height"] for box in (value.bounding_box() for value in values))
    assert below < min(op.bounding_box()["y"] for op in inside().all())
    frame = opened["cell-0-1"]
    for element in inside().all():
        middle = element.evaluate(
            "x => { const { e, f } = x.parentNode.transform.baseVal[0].matrix;"
            " const box = x.getBBox(); return [box.x + e, box.y + f] }"
        )
        assert frame[0] < middle[0] < frame[2]
        assert frame[1] < middle[1] < frame[3]
    assert player.page.locator("#cell-0-1").get_attribute("aria-expanded") == "true"
    assert player.text("#player-open").startswith("Close")
    player.page.locator("#cell-1-1").focus()
    player.press("o")
    assert player.page.locator(".inside").count() == 2
    player.press("o")
    player.page.locator("#player-open").click()
    assert player.page.locator(".inside").count() == 0
    for id, box in player.page.evaluate(BOXES).items():
        assert box == pytest.approx(closed[id], abs=0.1)


def test_an_open_copy_is_stepped_through_op_by_op(play):
    player = play(tg.draw(spelled(cell="gru")).html)
    state = lambda id: player.page.locator(f"[id='{id}']").get_attribute("data-state")
    player.press("ArrowRight", "o")
    count = player.page.locator(".inside > [id^='op-0-0-']").count()
    ops = [op.get_attribute("id") for op in player.page.locator(".inside > [id^='op-']").all()]
    ops.sort(key=lambda id: int(id.rpartition("-")[2]))
    seen = []
    for number in range(count):
        assert player.text("#player-counter") == f"1 / 27 · {number + 1} / {count}"
        assert [state(id) for id in ops] == ["done"] * (number + 1) + ["todo"] * (
            count - number - 1
        )
        assert f"op {number + 1} of {count}: " in player.text("#player-status")
        name = player.text("#player-part h3").split(" (")[0]
        assert f": {name} = " in player.text("#player-status")
        assert "Computed" not in player.text("#player-part")
        seen.append(player.state)
        player.press("ArrowRight")
    assert player.text("#player-counter") == "2 / 27"
    player.press("ArrowLeft")
    assert player.state == seen[-1]
    player.press("End", *["ArrowLeft"] * (count + 1), "ArrowRight")
    assert player.text("#player-counter") == f"26 / 27 · 1 / {count}"  # the newest op comes first
    assert "the gradient of h₀ has arrived" in player.text("#player-status")
    player.page.locator("#player-part li button").last.click()
    assert f"Complete with op {count} of this step" in player.text("#player-part")
    player.press("o", "ArrowLeft")
    assert player.text("#player-counter") == "25 / 27"


def test_between_copies_the_equation_comes_first_and_then_its_numbers(play, html):
    player = play(html)
    player.press("ArrowRight", "ArrowRight", "ArrowRight")
    assert "W_hy h + b_y, t = 0: y₀ = W_hy h₀ + b_y" in player.text("#player-status")
    assert player.text("#player-part h3") == "y (4,)"
    player.page.locator("[role=grid]").first.locator("td").nth(1).click()
    said = player.text("#player-part p.numbers >> nth=0")
    assert re.fullmatch(r"y\[1\] = \S+ \+ \S+ = \S+", said)


def test_an_element_is_explained_with_its_numbers(play, html, score):
    player = play(html)
    player.press("End")
    player.page.locator("#cell-1-2").focus()
    player.press("Enter")
    player.page.locator("[role=grid]").first.locator("td").first.click()
    (h, z) = (score["tensors"][number] for number in score["parts"]["cell-1-2"]["tensors"][:2])
    signed = lambda x: f"(−{-x})" if x < 0 else str(x)
    assert f"h₂[0] = tanh {signed(z[2][0])} = {str(h[2][0]).replace('-', '−')}" in player.text(
        "#player-part"
    )
    player.press("ArrowRight")
    assert "h₂[1] = tanh" in player.text("#player-part")
    assert player.page.evaluate("document.activeElement.getAttribute('aria-selected')") == "true"
    player.press("ArrowUp", "ArrowLeft", "ArrowLeft")
    assert "h₂[0] = tanh" in player.text("#player-part")


def test_the_ledger_grows_and_sums_to_the_gradient(play, html):
    player = play(html)
    assert player.page.locator("#player-parameter").input_value() == "1"
    player.page.locator("#player-parameter").select_option(label="W_hh_l1")
    assert "Sum so far: 0 of 4 rows" in player.text("#player-ledger")
    player.press("End")
    rows = player.page.locator("#player-ledger tbody tr")
    assert rows.count() == 4
    number = lambda text: float(text.replace("−", "-"))
    terms = [number(rows.nth(i).locator("td").nth(2).inner_text()) for i in range(4)]
    recorded = number(player.text("#player-ledger > p.numbers b"))
    assert sum(terms) == pytest.approx(recorded, rel=2e-3)


def test_no_backward_pass_says_so(play):
    ys, _ = tg.nn.RNN(3, 4, rng=0)(np.eye(3))
    player = play(tg.draw(ys).html)
    assert "no backward pass" in player.text("#player-status")
    assert not player.page.locator("#player-ledger").is_visible()
    player.press("End")
    assert "No gradient of" in player.text("#player-part")


@pytest.mark.parametrize("width", [320, 800, 1600])
def test_nothing_overflows_or_overlaps(play, html, width):
    player = play(html, width)
    for key in ("ArrowRight", "End"):
        player.press(key)
        assert player.page.evaluate("document.documentElement.scrollWidth") <= width
        places = (
            "header button, .transport :is(button, input, select), .counter, .status, .stage, .card"
        )
        boxes = player.page.locator(places).evaluate_all(_VISIBLE_BOXES)
        for box in boxes:
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= width
        for a, b in combinations(boxes, 2):
            assert _apart(a, b, "x", "width") or _apart(a, b, "y", "height"), (a, b)
        assert player.page.evaluate(
            "[...document.querySelectorAll('.card')].every(x => x.scrollWidth <= x.clientWidth)"
        )


_VISIBLE_BOXES = """elements => elements.map(x => x.getBoundingClientRect())
    .filter(box => box.width)
    .map(({ x, y, width, height }) => ({ x, y, width, height }))"""


def _apart(a, b, start, length):
    return a[start] + a[length] <= b[start] + 0.5 or b[start] + b[length] <= a[start] + 0.5


def test_dark_and_light(play, html):
    for scheme, colors in (
        ("dark", ["20, 23, 28", "255, 255, 255"]),
        ("light", ["255, 255, 255", "20, 23, 28"]),
    ):
        player = play(html, color_scheme=scheme)
        background = "getComputedStyle(document.querySelector('.tinygrad-player')).backgroundColor"
        assert player.page.evaluate(background) == f"rgb({colors[0]})"
        player.press("d")
        assert player.page.evaluate(background) == f"rgb({colors[1]})"


def test_reduced_motion(play, html):
    duration = "getComputedStyle(document.querySelector('#cell-0-0')).transitionDuration"
    assert play(html).page.evaluate(duration) == "0.2s"
    assert play(html, reduced_motion="reduce").page.evaluate(duration) == "0s"


def test_the_focus_stays_where_it_was(play, html):
    player = play(html)
    player.page.locator("#cell-0-2").click()
    player.page.locator("#player-part li button").nth(1).click()
    player.press("ArrowRight", "ArrowRight", "ArrowRight")
    focused = player.page.evaluate("document.activeElement.textContent")
    assert focused.startswith("z₂")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(play, html, scheme):
    if find_spec("axe_playwright_python") is None:
        pytest.skip("axe-core is not installed: pip install 'tinygrad-rnn[test]'")
    axe = (files("axe_playwright_python") / "axe.min.js").read_text("utf-8")
    player = play(html, color_scheme=scheme, reduced_motion="reduce")
    player.press("End", *["ArrowLeft"] * 6)
    player.page.locator("#cell-0-3").click()
    player.page.evaluate(axe)
    found = player.page.evaluate("axe.run({resultTypes: ['violations']})")["violations"]
    assert [
        (rule["id"], [node["target"] for node in rule["nodes"][:3]])
        for rule in found
        if rule["impact"] in ("serious", "critical")
    ] == []


def test_hostile_names_are_text_and_run_nothing(play, hostile):
    player = play(hostile)
    assert player.page.title() == printable(HOSTILE[1])
    assert player.text("h1") == printable(HOSTILE[1])
    for t, name in enumerate(HOSTILE):
        player.page.locator(f"[id='cell-0-{t}']").focus()
        player.press("Enter", "End")
        assert "</script><script>alert(9)</script>" in player.text("#player-part .source")
        player.page.locator(f"[id='input-{t}']").focus()
        player.press("Enter")
        assert printable(name) in player.text("#player-part")
    assert (
        player.page.evaluate("document.querySelectorAll('script, img, iframe, style').length") == 3
    )
    player.page.wait_for_timeout(50)


def test_a_parameter_may_be_a_condition_to_which_no_gradient_goes():
    W, h = tg.tensor([0.5, -1.0], requires_grad=True, name="W"), tg.tensor([1.0, 1.0])
    with tg.trace() as run:
        for _ in range(3):
            with tg.scope("cell"):
                h = tg.ops.tanh(tg.ops.where(W, h * W, 0.5 * h))
        h.sum().backward()
    assert "<svg" in tg.draw(run).html
