"""What the screen says of an event is worked out again from the recorded arrays.

The programs are those of the museum: every event, its formula with numbers, the operands it names.
"""

import re
import runpy
from contextlib import suppress
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from tables import rows

import tinygrad_rnn as tg
from tinygrad_rnn.debugger.session import Session
from tinygrad_rnn.debugger.views.matrices import matrices
from tinygrad_rnn.tracing.questions.notation import element
from tinygrad_rnn.tracing.recording.event import Accumulate, Forward, Seed, Update, Vjp, Zero

MUSEUM = Path(__file__).parents[2] / "examples" / "museum"
NAMES = sorted(path.stem for path in MUSEUM.glob("*.py"))
A_FEW = ["irnn", "lstm"]  # by default


@cache
def recorded(name):
    """A training step of a program on a short batch."""
    program = runpy.run_path(str(MUSEUM / f"{name}.py"), run_name=name)
    batch = program["scaled"](3) if "scaled" in program else program["BATCH"]
    parameters = program["PARAMS"]
    if isinstance(parameters, dict):
        parameters = parameters.values()
    optimizer = tg.optim.Adam(list(parameters), lr=0.01)
    optimizer.zero_grad()
    with tg.trace() as run:
        program["loss_fn"](*batch).backward()
        optimizer.step()
    return run


# Arithmetic as it is printed

FUNCTIONS = {
    "ln": np.log, "sin": np.sin, "cos": np.cos, "tanh": np.tanh, "sign": np.sign,
    "sqrt": np.sqrt, "abs": abs, "max": max, "min": min, "e": np.e, "inf": np.inf, "nan": np.nan,
}  # fmt: skip
NUMBER = r"[+-]?(?:inf|nan|\d+(?:\.\d+)?(?:e[+-]\d+)?)"
SPELLED = [
    (r"\(\d+ smaller\)", ""),
    (r"\| (.*) \|", r"abs(\1)"),
    (r"(.*) where the condition (.*) holds, else (.*)", r"(\1) if (\2) else (\3)"),
    (r"(.*) where (.*), else (.*)", r"(\1) if (\2) else (\3)"),
    (rf"√\(?({NUMBER})\)?", r"sqrt(\1)"),
    (rf"\b(tanh|sin|cos|ln|sign) ({NUMBER})", r"\1(\2)"),
    (r"²", "**2"),
    (r"\^", "**"),
    (r"·", "*"),
]


def worked_out(text):
    """The value of a line of numbers, and by how much their rounding may have moved it."""
    for pattern, spelled in SPELLED:
        text = re.sub(pattern, spelled, text)
    printed = list(re.finditer(rf"(?<![\w.)]){NUMBER}(?![\w.])", text))
    value = evaluated(text)
    moved = 0.0
    for number in printed:
        if number[0][0] not in "+-":  # of the formula itself: exact
            continue
        digits = number[0].partition("e")[0].lstrip("+-").replace(".", "").lstrip("0")
        half = abs(float(number[0])) * 0.5 * 10.0 ** (1 - max(len(digits), 4))
        changed = f"+({float(number[0]) + half!r})"
        with suppress(TypeError):  # a power that is not whole of what is negative
            other = evaluated(text[: number.start()] + changed + text[number.end() :])
            moved += abs(other - value)
    return value, moved


def evaluated(text):
    return float(eval(text.strip(), {"__builtins__": {}}, FUNCTIONS))  # our own lines


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("+0.5 · (1 - (-0.5)²)", 0.375),
        ("+1·-2 +0.5·+4 +3 (2 smaller)", 3),
        ("√+4", 2),
        ("1 / (1 + e^-(+0))", 0.5),
        ("+2 where +1 > +3, else 0", 0),
        ("| -3 |", 3),
    ],
)
def test_arithmetic_is_read_as_it_is_printed(text, value):
    assert worked_out(text)[0] == value


# One event


def checked(session):
    """Everything that is said of the event at the cursor."""
    event = session.event
    why = session.why_here()
    expected = float(written(session, event)[why.index])
    lines = [line for line in why.lines if " = " in line and not is_aside(line)]
    last = lines[-1].rpartition(" = ")[2]
    # 6 digits are printed
    np.testing.assert_allclose(float(last), expected, rtol=6e-6, atol=1e-300)
    check_numbers(event, why, lines[:-1], expected)
    if isinstance(event, Forward | Vjp):
        check_operands(session, event, why)
    check_matrices(session, event, why)


def is_aside(line):
    return line.startswith(("slope ", "its gradient"))


def written(session, event):
    """The array, from the recording or by the op's own rule."""
    match event:
        case Forward(output=node) | Update(output=node):
            return node.data
        case Vjp(of=of, slot=slot):
            g = of.rule.vjp(slot, event.cotangent, of.data, of.operands, of.options)
            return np.asarray(g)
        case Seed() | Accumulate():
            return event.value


def check_numbers(event, why, lines, expected):
    """Each line of numbers, below that of names, comes to the value, as far as digits tell."""
    _, *of_numbers = [line for line in lines if ", slope " not in line] or [""]
    for line in of_numbers:
        value, moved = worked_out(line.partition(" = ")[2])
        if value != expected:
            assert abs(value - expected) <= 1.5 * moved + 1e-6 * abs(expected) + 1e-300, line
    is_weighed = "from the elements that weigh most" in why.lines[0] or "the term from" in str(why)
    assert of_numbers or is_weighed or isinstance(event, Seed | Accumulate), why


def check_operands(session, event, why):
    """A name in the formula means the operand, at this moment."""
    node, queries = event.subject, session.queries
    for x, operand in zip(node.inputs, node.operands, strict=True):
        if x is not None:
            meant = queries.value(queries.names.in_formula(x, node), session.cursor)
            np.testing.assert_array_equal(meant, operand)
    for line in why.lines:  # "  z@1[0,2] = +0.5, slope +1"
        found = re.fullmatch(r"  (\S+) = (\S+), slope (\S+)", line)
        if found is None or found[1] == "number":
            continue
        labels = [element(queries.names.in_formula(t.node, node), t.index) for t in why.terms]
        term = why.terms[labels.index(found[1])]
        assert float(found[2]) == pytest.approx(float(term.node.data[term.index]), rel=1e-3)


def check_matrices(session, event, why):
    """What stands below the formula under a name is the array of that name."""
    queries, now = session.queries, session.cursor
    for matrix in matrices(session, why):
        name = re.sub(r"^[ABCGy] = ", "", matrix.title)
        if name == "change" or " before" in name or " after" in name or " so far" in name:
            continue
        name, _, part = name.partition(" from ")
        if part or (isinstance(event, Vjp) and matrix.strong):
            np.testing.assert_allclose(matrix.array, written(session, event), rtol=1e-12)
            continue
        if isinstance(event, Accumulate):
            np.testing.assert_array_equal(matrix.array, event.value)
            continue
        meant = queries.value(name.replace("∂L/∂", "d."), now)
        np.testing.assert_array_equal(matrix.array, meant, err_msg=matrix.title)


@pytest.mark.parametrize(
    "name",
    rows(NAMES, A_FEW),
)
def test_every_number_on_the_screen_follows_from_the_recording(name):
    session = Session(recorded(name))
    for event in session.trace.events:
        session.move(event.index)
        if not isinstance(event, Zero):
            checked(session)


@pytest.mark.parametrize("name", ["lstm"])
def test_the_terms_of_a_gradient_come_to_the_cotangent_that_is_handed_on(name):
    session = Session(recorded(name))
    queries = session.queries
    for event in session.trace.events:
        if isinstance(event, Vjp):
            terms = queries.contributions(event.of, event.index)
            if terms:
                total = sum(term.value for term in terms)
                np.testing.assert_allclose(total, event.cotangent, rtol=1e-12, atol=1e-300)
