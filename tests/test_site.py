"""The site is built without a warning and without a network, and has every public name.

It runs every chapter as a notebook, which takes long.
"""

import re
import subprocess
import sys
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

pytest.importorskip("furo", reason="pip install -e '.[docs]'")

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
