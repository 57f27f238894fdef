"""Exercises that check themselves: each chapter ends with a few.

`tinygrad-rnn exercise NAME answer.py` runs an answer and says whether it is right.
"""

from . import debugging, engine, gates, networks, runs, time
from .exercise import Exercise, NotYet

__all__ = ["EXERCISES", "Exercise", "NotYet"]

_ROOMS = (networks, engine, gates, time, debugging, runs)
_ALL = [found for room in _ROOMS for found in vars(room).values() if isinstance(found, Exercise)]

EXERCISES = {found.name: found for found in sorted(_ALL, key=lambda each: each.chapter)}
"""Every exercise by its name, in the order of the chapters."""
