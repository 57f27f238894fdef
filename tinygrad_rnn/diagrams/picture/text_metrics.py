"""The font of every picture, DejaVu Sans: how wide a text is, which characters it lacks.

The advance widths (2048 units per em; Verdana's are the same within a few percent) lie beside this
file, so that the font need not be opened.
"""

import json
import re
import unicodedata
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cache, lru_cache
from importlib.util import find_spec
from itertools import accumulate, takewhile
from pathlib import Path

from ...text import printable

FONT = "DejaVu Sans"
_UNITS_PER_EM = 2048
# Small text comes out wider by this much, since cairo rounds advances to whole pixels.
_ROUNDING = 1.04
# A glyph from some other font: an average letter, an ideograph or emoji.
_UNKNOWN, _UNKNOWN_WIDE = 1300, 2200
# A line of a formula may begin with a sign; those of sums bind loosest. It is so long at least.
_SIGN, _LOOSE, _LINE_LEAST = re.compile("[-+−⊙/·] |for "), ("+ ", "− ", "- "), 0.3
_WORD = re.compile(r"[^_.]*[_.]*")  # of a name, and what parts it from the next
_DIFFERENCE_MOST = 12  # characters of a cut name that are kept since another one differs there


@lru_cache(maxsize=1 << 16)  # copies say much the same, and each text is measured several times
def text_width(text: str, size: float, *, bold: bool = False) -> float:
    """Return the width in points of a line of `text` at font size `size`: if anything, too much."""
    return sum(map(_advances(bold), printable(text))) * size * _ROUNDING / _UNITS_PER_EM


def fit(text: str, width: float, size: float, *, bold: bool = False) -> str:
    """Return `text` made printable and cut to `width` points, with "…" for what is missing."""
    text = printable(text)
    advance = _advances(bold)
    scale = size * _ROUNDING / _UNITS_PER_EM
    ends = [0.0, *accumulate(advance(character) * scale for character in text)]
    if ends[-1] <= width:
        return text
    return text[: max(bisect_right(ends, width - advance("…") * scale) - 1, 0)] + "…"


def fit_middle(text: str, width: float, size: float, *, bold: bool = False) -> str:
    """Return `text` made printable and cut to `width` points, with "…" for its middle.

    Long names that begin alike are told apart by their ends.
    """
    text = printable(text)
    if text_width(text, size, bold=bold) <= width:
        return text
    kept, low = len(text) - 1, 0
    while low < kept:
        middle = (low + kept + 1) // 2
        if text_width(_without_middle(text, middle), size, bold=bold) <= width:
            low = middle
        else:
            kept = middle - 1
    return _without_middle(text, low)


def broken(text: str, width: float, size: float) -> list[str]:
    """Return a formula in lines that are no wider than `width` points, if it can be broken so.

    It is broken behind a semicolon or before a sign, in as few brackets as can be and where it is
    loosest; at another space only where there is no such place. No sign has a line for itself: it
    ends a line where what follows it fits only into one of its own.
    """
    lines: list[str] = []
    while text_width(text, size) > width:
        names = text.find(" = ")  # in "i, f, g = …" they stay together
        spaces = [match.start() for match in re.finditer("(?<=.) ", text) if match.start() > names]
        widths = {at: text_width(text[:at], size) for at in spaces}
        outside = [at for at in spaces if not _depth(text[:at], "[]")]
        places = [at for at in spaces if widths[at] <= width] or outside[:1]
        if not places:
            break
        long = {at for at in places if widths[at] >= _LINE_LEAST * width}
        at = min(reversed(places), key=lambda at: _unfit(text, at, is_short=at not in long))
        sign = _SIGN.match(text, at + 1)
        if sign is not None and sign.end() - 1 in places:
            word, _, _ = text[sign.end() :].partition(" ")
            alone = text_width(sign[0] + word, size) > width >= text_width(word, size)
            at = sign.end() - 1 if alone else at
        lines.append(text[:at])
        text = text[at + 1 :]
    return [*lines, text]


def broken_behind_names(text: str, width: float, size: float) -> list[str]:
    """Return a formula in lines as `broken` does, centred ones: what it names stands above it.

    So where that takes no more lines: an equals sign is the loosest of all.
    """
    lines = broken(text, width, size)
    names, equals, formula = text.partition(" = ")
    apart = [f"{names} =", *broken(formula, width, size)]
    return apart if equals and 1 < len(lines) >= len(apart) else lines


def statements(formula: str) -> list[str]:
    """Several formulas that are joined by semicolons: those within brackets join none.

    >>> statements("a = [b; c]; d")
    ['a = [b; c]', 'd']
    """
    ends = [match.start() for match in re.finditer("; ", formula)]
    ends = [at for at in ends if formula.count("[", 0, at) == formula.count("]", 0, at)]
    begins = [0, *(at + 2 for at in ends)]
    return [formula[begin:end] for begin, end in zip(begins, [*ends, None], strict=True)]


def _unfit(text: str, at: int, *, is_short: bool) -> tuple[bool, bool, int, bool]:
    """How unfit a space is to break a formula there: what counts most comes first."""
    in_list, depth = _depth(text[:at], "[]") > 0, _depth(text[:at], "()")
    sign = _SIGN.match(text, at + 1)
    is_fit = not in_list and (text[at - 1] in ";," or sign is not None)
    parts_formulas = text[at - 1] == ";" and not in_list
    is_loose = parts_formulas or (sign is not None and sign[0] in _LOOSE)
    return not is_fit, is_short and not parts_formulas, depth, not is_loose


def _depth(text: str, brackets: str) -> int:
    """How many brackets are open behind a text."""
    return text.count(brackets[0]) - text.count(brackets[1])


def fit_apart(texts: Sequence[str], width: float, size: float) -> list[str]:
    """Return each text cut as by `fit_middle`; where two would be alike, with what differs.

    So the weights of "layers.0" and "layers.1" are told apart that begin and end alike.
    """
    texts = list(map(printable, texts))
    cut = {text: fit_middle(text, width, size) for text in texts}
    for alike in _collisions(cut):
        cut |= {text: _with_difference(text, set(alike) - {text}, width, size) for text in alike}
    if _collisions(cut):  # some differ at several places
        of_length: dict[int, list[str]] = {}
        for text, shown in cut.items():
            if shown != text:
                of_length.setdefault(len(_WORD.findall(text)), []).append(text)
        for long in of_length.values():
            if len(long) > 1:
                cut |= _words_that_differ(long, width, size)
    return [cut[text] for text in texts]


def _collisions(cut: Mapping[str, str]) -> list[list[str]]:
    """The texts that are cut alike, in groups."""
    of_cut: dict[str, list[str]] = {}
    for text, shown in cut.items():
        of_cut.setdefault(shown, []).append(text)
    return [alike for alike in of_cut.values() if len(alike) > 1]


def _words_that_differ(texts: Sequence[str], width: float, size: float) -> Mapping[str, str]:
    """Of texts of as many words those that are not the same in all, as far as they fit; or none."""
    split = {text: _WORD.findall(text) for text in texts}
    differ = [len(set(words)) > 1 for words in zip(*split.values(), strict=True)]
    longest = max(len(word) for words in split.values() for word in words)
    for letters in range(longest, 0, -1):
        found = {text: _some_words(words, differ, letters) for text, words in split.items()}
        if not _collisions(found) and all(text_width(t, size) <= width for t in found.values()):
            return found
    return {}


def _some_words(words: Sequence[str], wanted: Sequence[bool], letters: int) -> str:
    """So many letters of each wanted word, and "…" for what is between them."""
    shown: list[str] = []
    for word, is_wanted in zip(words, wanted, strict=True):
        kept = word[:letters] if is_wanted else ""
        shown.append(kept if kept == word else f"{kept}…")
    return re.sub("[_.]*…[_.…]*", "…", "".join(shown))


def _with_difference(text: str, others: Iterable[str], width: float, size: float) -> str:
    """The text without what lies on either side of where it differs from others."""
    first, last = len(text), 0
    for other in others:
        same, ending = _alike(text, other), _alike(text[::-1], other[::-1])
        first, last = min(first, same), max(last, same + 1, len(text) - ending)
    last = min(last, first + _DIFFERENCE_MOST)
    shown = "…"
    for kept in range(1, len(text)):
        longer = _around(text, first - 1, last + 1, kept)
        if text_width(longer, size) > width:
            break
        shown = longer
    return shown


def _alike(text: str, other: str) -> int:
    """How many characters two texts begin with alike."""
    return sum(
        1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(text, other, strict=False))
    )


def _around(text: str, first: int, last: int, kept: int) -> str:
    """A part of a text, and so many characters of its beginning and end."""
    start = text[:kept] + "…" + text[first:last] if kept + 1 < first else text[:last]
    end = "…" + text[-kept:] if last + 1 < len(text) - kept else text[last:]
    return start + end


def _without_middle(text: str, kept: int) -> str:
    ending = kept // 2
    return text[: kept - ending] + "…" + text[len(text) - ending :]


def without_glyph(texts: Iterable[str]) -> list[str]:
    """Return the characters of some texts that DejaVu Sans lacks, in the order of Unicode.

    >>> without_glyph(["hₜ = tanh ✂", "日本"])
    ['日', '本']
    """
    rare = set(printable("".join(texts))) - _table(bold=False).keys()
    return sorted(character for character in rare if ord(character) not in _glyphs())


@cache
def _glyphs() -> Collection[int]:
    """The characters of the font; the table beside this file holds the widths of many."""
    from matplotlib.ft2font import FT2Font

    return frozenset(FT2Font(str(font_folder() / "DejaVuSans.ttf")).get_charmap())


def font_folder() -> Path:
    """Return where matplotlib keeps DejaVu Sans."""
    matplotlib = find_spec("matplotlib")
    assert matplotlib is not None
    assert matplotlib.origin is not None
    return Path(matplotlib.origin).with_name("mpl-data") / "fonts" / "ttf"


@cache
def _table(*, bold: bool) -> dict[str, int]:
    weights = json.loads(Path(__file__).with_name("dejavu_sans.json").read_text("ascii"))
    runs = weights["bold"] if bold else weights["regular"]
    return {
        chr(int(first, 16) + offset): advance
        for first, run in runs.items()
        for offset, advance in enumerate(run)
    }


@cache
def _advances(bold: bool) -> Callable[[str], int]:
    table = _table(bold=bold)

    def advance(character: str) -> int:
        if character in table:
            return table[character]
        if unicodedata.category(character) in ("Mn", "Me", "Cf"):
            return 0
        return _UNKNOWN_WIDE if unicodedata.east_asian_width(character) in "WF" else _UNKNOWN

    return advance
