"""`compile`: record a step once, plan it, and replay it as a flat list of NumPy calls."""

from .compiled import Compiled, compile

__all__ = ["Compiled", "compile"]
