"""The site is built without a warning and without a network, and has every public name.

It runs every chapter as a notebook, which takes long.
"""

import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tinygrad_rnn.diagrams.picture.theme import DARK

ROOT = Path(__file__).parents[1]
PUBLIC = [
    "tinygrad_rnn",
    "tinygrad_rnn.ops",
    "tinygrad_rnn.nn",
    "tinygrad_rnn.nn.init",
    "tinygrad_rnn.optim",
    "tinygrad_rnn.errors",
]

pytestmark = pytest.mark.rest


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    pytest.importorskip("furo", reason="pip install -e '.[docs]'")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", ROOT / "docs", folder]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


class Page(HTMLParser):
    """The ids of a page, and what it links to and loads."""

    def __init__(self, path):
        super().__init__()
        self.ids, self.links, self.loaded = set(), [], []
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        if "id" in found:
            self.ids.add(found["id"])
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        if tag in ("script", "img", "iframe") and "src" in found:
            self.loaded.append(found["src"])
        if tag == "link" and found.get("rel") == "stylesheet":
            self.loaded.append(found["href"])


@pytest.fixture(scope="module")
def pages(site):
    return {path: Page(path) for path in site.rglob("*.html") if "_static" not in path.parts}


def test_every_link_within_the_site_leads_somewhere(site, pages):
    broken = []
    for path, page in pages.items():
        for link in page.links:
            url = urlsplit(link)
            if url.scheme:
                continue
            target = (path.parent / unquote(url.path)).resolve() if url.path else path
            ids = pages[target].ids if target in pages else {url.fragment}
            if not target.exists() or (url.fragment and url.fragment not in ids):
                broken.append((path.name, link))
    assert broken == []


def test_nothing_is_loaded_from_elsewhere(pages):
    loaded = {source for page in pages.values() for source in page.loaded}
    assert loaded
    assert [source for source in loaded if urlsplit(source).scheme not in ("", "data")] == []


def public_names(module):
    """The names that a module offers, modules in it left out."""
    everything = vars(module)
    names = getattr(module, "__all__", [name for name in everything if not name.startswith("_")])
    return [name for name in names if is_offered(getattr(module, name), module)]


def is_offered(value, module):
    if hasattr(module, "__all__"):
        return callable(value)
    return getattr(value, "__module__", None) == module.__name__


def test_every_public_name_is_in_the_reference(pages):
    documented = set().union(*(page.ids for path, page in pages.items() if "api" in path.parts))
    last = {id.rpartition(".")[2] for id in documented}
    modules = [import_module(name) for name in PUBLIC]
    missing = [
        f"{module.__name__}.{name}"
        for module in modules
        for name in public_names(module)
        if name not in last
    ]
    assert missing == []


def test_every_argument_in_the_reference_has_its_words(site):
    """One that is described as "H." alone would be read as the head of a list."""
    for path in (site / "api").glob("*.html"):
        page = path.read_text("utf-8")
        bare = re.findall(r"<li><p><strong>(\w+)</strong>(?: –)?\s*</p>", page)
        assert bare == [], path.name


def test_a_chapter_can_be_downloaded_and_holds_its_python(site):
    chapters = sorted((ROOT / "docs").glob("[0-9]*.md"))
    for chapter in chapters:
        notebook = (site / "_downloads" / f"{chapter.stem}.ipynb").read_text("utf-8")
        cells = notebook.count('"cell_type": "code"')
        assert cells >= len(re.findall(r"^```python$", chapter.read_text("utf-8"), re.MULTILINE))


def test_figures_follow_dark_mode(site):
    figures = list((site / "_images").glob("*.svg"))
    assert len(figures) > 10
    for figure in figures:
        assert "prefers-color-scheme: dark" in figure.read_text("utf-8"), figure.name


# In a browser

LOOKED_AT = [
    "index",
    "readme",
    "00_a_network_that_reads",
    "07_lstm_and_gru_gate_by_gate",
    "12_debugging_an_exploding_network",
    "14_short_memory",
    "museum",
    "api/nn",
]
PLAYED = ["07_lstm_and_gru_gate_by_gate", "11_what_the_backward_pass_does"]
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
# A widget that sticks out of the page, unless something around it scrolls.
STICKS_OUT = """() => [...document.querySelectorAll("article *")].filter(part => {
    const box = part.getBoundingClientRect()
    if (!box.width || box.right <= innerWidth + 1) return false
    for (let around = part.parentElement; around; around = around.parentElement)
        if (getComputedStyle(around).overflowX !== "visible") return false
    return true
}).map(part => part.outerHTML.slice(0, 120))"""


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="pip install -e '.[test]'")
    if CHROMIUM is None:
        pytest.skip("there is no Chromium on this machine")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


PATIENCE = 180_000  # milliseconds: the museum has sixty pictures, and the machine may be busy


@pytest.fixture(params=["1280 light", "390 dark", "print"])
def open_page(request, browser, site):
    """Opens a page of the site, and keeps what it asked for and complained of."""
    width, _, scheme = request.param.partition(" ")
    wide = 390 if width == "390" else 1280
    context = browser.new_context(
        viewport={"width": wide, "height": 900}, color_scheme=scheme or "light"
    )
    seen = []

    def opened(name):
        page = context.new_page()
        page.on("request", lambda asked: seen.append(asked.url))
        page.on("pageerror", lambda error: seen.append(f"error: {error}"))
        if width == "print":
            page.emulate_media(media="print")
        page.goto((site / f"{name}.html").as_uri(), wait_until="load", timeout=PATIENCE)
        return page

    yield opened
    context.close()
    assert [each for each in seen if not each.startswith(("file:", "data:", "about:"))] == []


def test_no_page_sticks_out_or_looks_elsewhere(open_page, site):
    for path in sorted(site.glob("*.html")):
        page = open_page(path.stem)
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, path.stem
        assert page.evaluate(STICKS_OUT) == [], path.stem
        page.close()


def test_no_page_has_a_serious_fault_of_access(browser, site):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="'.[docs]'").Axe()
    found = []
    for scheme in ("light", "dark"):
        context = browser.new_context(color_scheme=scheme)
        for name in LOOKED_AT:
            page = context.new_page()
            page.goto((site / f"{name}.html").as_uri(), timeout=PATIENCE)
            faults = axe.run(page).response["violations"]
            serious = [fault for fault in faults if fault["impact"] in ("serious", "critical")]
            found += [(name, scheme, fault["id"], fault["nodes"][0]["html"]) for fault in serious]
            page.close()
        context.close()
    assert found == []


def test_all_that_a_figure_says_can_be_read_in_the_dark(browser, site):
    """A parameter's name is dark on its chip, also inside a copy; its size beside it is not."""
    page = browser.new_context(color_scheme="dark").new_page()
    page.goto((site / "_images" / "ops_lstm.svg").as_uri())
    colors = {
        part: page.evaluate(
            """part => [...document.querySelector(part).querySelectorAll("text")]
            .map(text => getComputedStyle(text).fill)""",
            part,
        )
        for part in (".parameter", ".chip")
    }
    on_chip, beside = (rgb(DARK.color(role)) for role in ("chip.text", "muted"))
    assert colors == {".parameter": [on_chip, beside], ".chip": [on_chip]}
    page.close()


def rgb(color):
    return f"rgb({', '.join(str(byte) for byte in bytes.fromhex(color[1:]))})"


@pytest.mark.parametrize("name", PLAYED)
def test_a_player_in_a_chapter_plays(browser, site, name):
    page = browser.new_page()
    page.goto((site / f"{name}.html").as_uri())
    frames = page.locator("iframe")
    assert frames.count() == 1
    player = page.frame_locator("iframe")
    counter = player.locator("#player-counter")
    before = counter.inner_text()
    player.locator("#player-next").click()
    page.wait_for_timeout(200)
    assert counter.inner_text() != before
    page.close()


def test_a_chapter_has_its_share_of_the_figures(site):
    """Counted in the pages, so that only what a run has drawn counts."""
    figures = 0
    for path in site.glob("[0-9]*.html"):
        body = path.read_text("utf-8").partition("<article")[2].partition("</article>")[0]
        figures += len(re.findall(r"<img\b|<iframe\b", body))
    assert figures >= 45
