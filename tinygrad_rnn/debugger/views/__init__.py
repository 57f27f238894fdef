"""What a session looks like: pure functions from a session to lines of text.

A line is a rich Text no wider than asked for. Nothing depends on colour: signs are always printed,
the selected element and what it was made of carry marks, and `plain_ascii` spells every other sign
for terminals without UTF-8.
"""

from .answers import SCREEN_KEYS, answer, failure, help_lines, remark
from .footer import key_hints, status, timeline, timeline_event
from .lines import Lines, plain_ascii
from .matrix import Matrix
from .side import side, watches
from .step import result, step, title
from .tree import Tree

NARROW = 110  # below this many columns there is no room for the right pane

__all__ = [
    "NARROW",
    "SCREEN_KEYS",
    "Lines",
    "Matrix",
    "Tree",
    "answer",
    "failure",
    "help_lines",
    "key_hints",
    "plain_ascii",
    "remark",
    "result",
    "side",
    "status",
    "step",
    "timeline",
    "timeline_event",
    "title",
    "watches",
]
