"""Makes untrusted text safe for each sink: DOT, XML (SVG and HTML), the terminal.

Every name that a user or a file gave passes through here on its way out. `printable` is the common
first step: what a reader could not see, or what could act on the reader's screen, becomes a visible
sign. Each sink then adds its own quoting. The order matters when text is shortened as well:
`for_dot(elide(name, 12))`, since cutting quoted text could cut an escape in two.
"""

import html
import re
import unicodedata
from bisect import bisect_right
from itertools import accumulate

# What Unicode lets a renderer ignore, with tags and variation selectors; the joiners, which emoji
# and some scripts are written with, and the selectors of emoji are looked at in their place below.
_INVISIBLE = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0d\ufeff\uffa0\ufff0-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_EMOJI = "\u2190-\u2bff\u3030\u303d\u3297\u3299\U0001f000-\U0001faff"
_JOINED_SCRIPTS = "\u0620-\u08ff\u0900-\u0dff"  # Arabic and its kin, those of India

_A_COLUMN = 16  # characters at most, with the marks above and below it

_INVISIBLE_OR_ACTIVE = re.compile(
    "["
    "\x00-\x1f\x7f-\x9f"  # C0 (ESC among them), DEL, C1
    f"{_INVISIBLE}"
    "\u2028\u2029"  # line and paragraph separators: str.splitlines breaks lines there
    "\ud800-\udfff"  # lone surrogates: not encodable in UTF-8
    "\ufffe\uffff"  # not characters, and illegal in XML
    "]"
    f"|(?<![{_JOINED_SCRIPTS}])\u200c"
    f"|(?<![{_JOINED_SCRIPTS}])(?!(?:(?<=[{_EMOJI}])|(?<=[{_EMOJI}]\ufe0f))\u200d[{_EMOJI}])\u200d"
    f"|(?<![{_EMOJI}#*0-9\u00a9\u00ae\u203c\u2049\u2122\u2139])[\ufe0e\ufe0f]"
)


def printable(text: str, *, keep: str = "") -> str:
    r"""Return `text` with every control, invisible and unencodable character as a visible sign.

    C0 controls become Unicode's control pictures, anything else its number in angle brackets;
    characters in `keep` stay as they are. The result encodes in UTF-8 and holds only characters
    that XML 1.0 allows.

    >>> printable("a\0b\x1b[31m")
    'a␀b␛[31m'
    >>> printable("total\u202e0001")
    'total<U+202E>0001'
    >>> printable("W\u200b")
    'W<U+200B>'
    """
    return _INVISIBLE_OR_ACTIVE.sub(
        lambda match: match[0] if match[0] in keep else _sign(match[0]), text
    )


def _sign(character: str) -> str:
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    return "␡" if code == 0x7F else f"<U+{code:04X}>"


def for_xml(text: str) -> str:
    """Return `text` for the content or a quoted attribute of an XML, SVG or HTML element.

    >>> for_xml('<W & "b">')
    '&lt;W &amp; &quot;b&quot;&gt;'
    """
    return html.escape(printable(text))


def for_dot(text: str) -> str:
    r"""Return `text` for a double-quoted DOT label that is neither HTML-like nor a record.

    Graphviz decodes XML's entities in labels, so everything that DOT or its writers treat specially
    is given as an entity; the backslash, whose escapes (`\N`, `\G`, `\l`) are read after the
    entities, is doubled instead. Join lines with `\n` once they are escaped. Labels only: a tooltip
    reads escapes twice, a class not at all.

    >>> print(for_dot('tanh "\\N" &amp;'))
    tanh &quot;\\N&quot; &amp;amp;
    """
    return for_xml(text).replace("\\", r"\\")


def for_terminal(text: str, *, multiline: bool = False) -> str:
    r"""Return `text` that cannot move the cursor, colour, retitle or reorder a terminal.

    With `multiline`, newlines and tabs stay. Rich's `[markup]` passes: print the result as plain
    text.

    >>> print(for_terminal("weights\r\x1b[2Jall is well"))
    weights␍␛[2Jall is well
    """
    return printable(text, keep="\n\t" if multiline else "")


def elide(text: str, width: int) -> str:
    """Return `text` made printable and cut to at most `width` columns, "…" where it was cut.

    Wide characters (CJK, emoji) count as two columns, combining marks as none.

    Raises:
        ValueError: `width` is less than 1, so that not even the ellipsis fits.

    >>> elide("recurrent", 6)
    'recur…'
    """
    if width < 1:
        raise ValueError(f"width must be at least 1, not {width}")
    is_endless = len(text) > _A_COLUMN * width
    text = printable(text[: _A_COLUMN * width])
    ends = list(accumulate(map(_columns, text), initial=0))
    if ends[-1] <= width and not is_endless:
        return text
    return text[: bisect_right(ends, width - 1) - 1].rstrip("\u200d\ufe0e\ufe0f") + "…"


def _columns(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
