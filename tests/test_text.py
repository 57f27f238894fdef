"""Hostile text arrives at every sink as given, or visibly replaced, and never acts there."""

import re
from xml.etree import ElementTree

import pygraphviz
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_rnn.errors import cut
from tinygrad_rnn.text import elide, for_dot, for_terminal, for_xml, printable

SVG_TEXT = "{http://www.w3.org/2000/svg}text"
ACTS_ON_A_TERMINAL = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f\ud800-\udfff]"
)

NASTY = {
    "nothing": "",
    "a name of Graphviz's": r"\N \G \E \T \H \L",
    "justified lines": r"left\l right\r centre\n",
    "a trailing backslash": "path\\",
    "two trailing backslashes": "path\\\\",
    "a quote": 'say "h"',
    "an escaped quote": r"say \"h\"",
    "the end of an attribute": '"]; evil [label="',
    "an HTML-like label": "<<b>bold</b>>",
    "a script": "<script>alert(1)</script>",
    "the end of an attribute in SVG": "' onload='alert(1)",
    "CDATA": "]]><![CDATA[",
    "an entity": "&amp; &lt; &quot;",
    "an entity of an entity": "&amp;amp;",
    "an entity of a backslash": "&#92;N",
    "an entity of nothing": "&nosuch; &#0; &#xD800; &",
    "a record": "{a|<p>b}",
    "a comment": "/* # // -->",
    "format directives": "%s %n {0}",
    "Rich markup": "[red]x[/red]",
    "NUL": "a\0b",
    "lines": "a\nb\r\nc\td",
    "other lines": "a\x85b\u2028c\u2029d\vd\f",
    "colour and title": "\x1b[31mred\x1b]0;title\x07\x9b31m",
    "DEL": "\x7f",
    "reversed": "abc\u202edef\u2066g\u2069",
    "lone surrogates": "\ud800a\udfff",
    "an undecodable file name": b"caf\xe9".decode("utf-8", "surrogateescape"),
    "not characters": "\ufffe\uffff",
    "a byte order mark": "\ufeffx",
    "emoji": "🦜 👩‍🔬 🏴󠁧󠁢󠁳󠁣󠁴󠁿",
    "the issue's list": '<"\\\0\x1b🎓',
    "the replacement itself": "␀ <U+202E>",
    "subscripts": "hₜ₋₁ = tanh(W_hh hₜ₋₂)",
    "combining": "e\u0301" * 4,
    "long": "x\\" * 5000,
}

every_nasty_case = pytest.mark.parametrize("text", NASTY.values(), ids=NASTY.keys())
any_text = st.text(st.characters(codec=None)) | st.text(
    st.sampled_from(
        "\\\"<>&;#nNlG92amp{}|'\0\n\x1b\ud83d\u202e \u200b\u200c\u200d\ufe0f🔥❤ی\U000e0041"
    )
)


def with_breaking_spaces(text: str) -> str:
    """Graphviz writes every second space of a run as a no-break space: viewers show them all."""
    return text.replace("\xa0", " ")


def drawn_labels(texts: list[str]) -> list[str]:
    """What an SVG viewer shows of labels that went through DOT and Graphviz."""
    nodes = "".join(
        f'n{i} [label="|{for_dot(text)}|" pos="0,{i}"]\n' for i, text in enumerate(texts)
    )
    graph = pygraphviz.AGraph(string=f"digraph {{ node [shape=plain]\n{nodes} }}")
    svg = ElementTree.fromstring(graph.draw(format="svg", prog="nop2"))
    return [(element.text or "")[1:-1] for element in svg.iter(SVG_TEXT)]


@given(st.lists(any_text, max_size=5))
def test_a_dot_label_is_drawn_as_printed(texts):
    assert [*map(with_breaking_spaces, drawn_labels(texts))] == [
        with_breaking_spaces(printable(t)) for t in texts
    ]


@every_nasty_case
def test_a_nasty_dot_label_is_drawn_as_printed(text):
    assert [*map(with_breaking_spaces, drawn_labels([text]))] == [
        with_breaking_spaces(printable(text))
    ]


def check_xml(text: str) -> None:
    element = ElementTree.fromstring(
        f"<p a=\"{for_xml(text)}\" b='{for_xml(text)}'>{for_xml(text)}</p>".encode()
    )
    assert element.text == (printable(text) or None)
    assert element.attrib == {"a": printable(text), "b": printable(text)}
    assert len(element) == 0


test_xml_reads_back_as_printed = given(any_text)(check_xml)
test_nasty_xml_reads_back_as_printed = every_nasty_case(check_xml)


def check_terminal(text: str) -> None:
    assert not ACTS_ON_A_TERMINAL.search(for_terminal(text))
    kept = for_terminal(text, multiline=True)
    assert not ACTS_ON_A_TERMINAL.search(kept.replace("\n", "").replace("\t", ""))
    assert (kept.count("\n"), kept.count("\t")) == (text.count("\n"), text.count("\t"))


test_nothing_acts_on_the_terminal = given(any_text)(check_terminal)
test_nothing_nasty_acts_on_the_terminal = every_nasty_case(check_terminal)


@given(any_text)
def test_printable_text_is_encodable_and_a_fixed_point(text):
    once = printable(text)
    assert once.encode().decode() == once == printable(once)
    assert not ACTS_ON_A_TERMINAL.search(once)


# Letters and marks that nothing shows.
FILLERS = "\u115f\u1160\u3164\uffa0\u034f\u17b4\u17b5\u180b\u180c\u180d\u180f"
SELECTORS = "".join(map(chr, (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))))


@given(
    st.text(
        st.characters(exclude_categories=["C", "Zl", "Zp"], exclude_characters=FILLERS + SELECTORS)
    )
)
def test_harmless_text_is_left_alone(text):
    assert printable(text) == for_terminal(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\0\t\n\x1b", "␀␉␊␛"),
        ("\x7f", "␡"),
        ("\x9b", "<U+009B>"),
        ("\u202e", "<U+202E>"),
        ("\ud800", "<U+D800>"),
        ("\uffff", "<U+FFFF>"),
        ("👩‍🔬", "👩‍🔬"),
        ("❤️‍🔥1️⃣", "❤️‍🔥1️⃣"),
        ("می‌خواهم", "می‌خواهم"),
        ("क्‍ष", "क्‍ष"),
        ("W\u200b_\u200ch\u200dh", "W<U+200B>_<U+200C>h<U+200D>h"),
        ("h\ufe0f\u200d♂", "h<U+FE0F><U+200D>♂"),
        ("h\u2060\u00ad\ufeff", "h<U+2060><U+00AD><U+FEFF>"),
        ("h\U000e0041\U000e0100", "h<U+E0041><U+E0100>"),
    ],
)
def test_what_cannot_be_shown_has_a_sign(text, shown):
    assert printable(text) == shown


@pytest.mark.parametrize("part", ["n", "\u0301", "\x1b[31m", "网", "\u200b"])
def test_endless_text_is_cut_before_it_is_looked_through(part):
    shown = elide("a" + part * 3_000_000, 12)
    assert shown.startswith("a")
    assert shown.endswith("…")
    assert len(shown) < 200
    assert elide(shown, 12) == shown
    assert len(cut(part * 3_000_000)) == 1000


@given(any_text, st.integers(1, 30))
def test_elided_text_begins_as_the_text_does(text, width):
    elided = elide(text, width)
    assert elided == printable(text) or printable(text).startswith(elided.removesuffix("…"))
    assert elide(elided, width) == elided


@pytest.mark.parametrize(
    ("text", "width", "elided"),
    [
        ("", 1, ""),
        ("hello", 5, "hello"),
        ("hello", 4, "hel…"),
        ("hello", 1, "…"),
        ("日本語", 6, "日本語"),
        ("日本語", 5, "日本…"),
        ("日本語", 4, "日…"),
        ("e\u0301e\u0301e\u0301", 2, "e\u0301…"),
        ("\ud800", 3, "<U…"),
    ],
)
def test_elide(text, width, elided):
    assert elide(text, width) == elided


def test_elide_refuses_a_width_without_room_for_the_ellipsis():
    with pytest.raises(ValueError, match="at least 1"):
        elide("hello", 0)
