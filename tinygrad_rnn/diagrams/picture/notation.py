"""How values are written: with Unicode subscripts, since SVG viewers disagree about `<sub>`."""

import re
from collections.abc import Sequence


def at_any_step(label: str) -> str:
    """Return `label` with t in place of its timestep.

    >>> at_any_step("x₁₂"), at_any_step("loss")
    ('xₜ', 'loss')
    """
    return re.sub("[₋₀-₉]+$", "ₜ", label)


def without_step(label: str) -> str:
    """Return `label` without its timestep.

    >>> without_step("x₁₂"), without_step("xₜ"), without_step("loss")
    ('x', 'x', 'loss')
    """
    return re.sub("(ₜ?[₋₊]?[₀-₉]*|ₜ)$", "", label)


def id_of(kind: str, name: str) -> str:
    """Return the id of what is called so: whatever the name, it can stand in DOT and in XML.

    >>> id_of("parameter", "cell.W_xh"), id_of("heading", '"><img>')
    ('parameter-cell.W_xh', 'heading-___img_')
    """
    return f"{kind}-" + re.sub(r"[^\w.-]", "_", name)


def shape_text(shape: Sequence[int]) -> str:
    """Return a shape as NumPy writes it.

    >>> shape_text((1, 5)), shape_text((5,)), shape_text(())
    ('(1, 5)', '(5,)', '()')
    """
    return str(tuple(shape))


def size_text(shape: Sequence[int]) -> str:
    """Return a parameter's shape as a table of numbers is described; one number has no size.

    >>> size_text((5, 3)), size_text((1,)), size_text(())
    ('5×3', '1', '()')
    """
    return "×".join(map(str, shape)) or "()"
