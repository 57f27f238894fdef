"""What is printed as an equation beside a row, held to what each of its copies reads and makes."""

import re
from typing import NamedTuple

from tinygrad_rnn.nn.cells import Cell
from tinygrad_rnn.tracing.network.quotient import Row, at_step, element_of, primeless, timeless

SYMBOL = re.compile(
    r"(?P<back>←?)(?P<name>[^\W\d₀-₉ₜₚ][^\W₀-₉ₜₚ]*)"
    r"(?P<step>ₜ(?:[₋₊][₀-₉]+)?|ₚ|₋?[₀-₉]+)?(?:⁽(?P<layer>[⁰¹²³⁴-⁹]+)⁾)?(?P<call>\(?)"
)
DIGITS = str.maketrans("₀₁₂₃₄₅₆₇₈₉₋₊⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789-+0123456789")
WORDS = {"where", "axis", "not", "p", "the", "arrow", "comes", "from", "of", "layer", "Σ"}
FUNCTIONS = {"tanh", "relu", "softmax", "embedding", "σ"}
# A number, and what tells a value in a copy from the one that had its name before it.
NO_NAME = re.compile(r"(?<![\w.])-?\d[\d.]*(e[-+]?\d+)?π?|′+[⁰¹²³⁴-⁹]*|[ᵀ²]|\[[^];]*\]")
# The part of what is stacked that belongs to a gate, and what tells a gate from what enters.
OF_A_GATE = re.compile(r"(?<=[ₜch])\[[a-z]\]|′(?=ₜ)")
OF_A_CHAIN = re.compile(r"[^\W\d₀-₉ₜₚ][^\W₀-₉ₜₚ]*′+")
LEFT = re.compile("([^ ,()]+ₜ(, | = ))+")  # what stands left in a line
# What our cells make and keep to themselves, and the ops that make what they hand on.
INSIDE = {
    "RNNCell": set(),
    "LSTMCell": set("zifog"),
    "GRUCell": {*"rzn", *(f"{made}_{gate}" for made in "xh" for gate in "rzn")},
}
LAST_OPS = {
    "RNNCell": [{"tanh", "relu"}],
    "LSTMCell": [{"mul"}, {"add"}],
    "GRUCell": [{"add"}],
}


class Known(NamedTuple):
    """A value that enters a copy: its name, its step if it has one, and the row that made it."""

    name: str
    time: int | None
    row: Row | None


def check_equations(quotient):
    """Every symbol is an arrow into each copy that it is printed for, a parameter or a state."""
    for row in quotient.rows:
        is_ours = any(block.call and isinstance(block.call.owner, Cell) for block in row.blocks)
        if row.equation and not is_ours:
            check_programmed(row, quotient)
        for block in row.blocks if row.equation and is_ours else ():
            said = as_printed_for(block, quotient)
            entering = list(names_entering(block, quotient))
            parameters = {label for a in reached_by(block, quotient) for label in weights(a)}
            said, expressions = without_expressions(said, block, entering)
            said = OF_A_GATE.sub("", said)
            for symbol in SYMBOL.finditer(said):
                assert is_told(symbol, block, entering, parameters), (symbol[0], block, said)
            if "W_x" in said:
                said_names = expressions | {symbol["name"] for symbol in SYMBOL.finditer(said)}
                said_names |= set(OF_A_CHAIN.findall(said))
                for arrow in quotient.entering[block]:
                    assert is_named(arrow, block, said_names, quotient), (arrow, said)
            for state, ops in zip(block.states, LAST_OPS.get(row.name, ()), strict=False):
                assert state.node.op in ops or " where " in said, (block, said)


def check_programmed(row, quotient):
    """Each symbol is what the program calls a value in the copies, or what comes into them.

    Of a copy between others: NumPy may compute a part of the first one, and of the last one nobody
    may read all.
    """
    block = row.blocks[len(row.blocks) // 2]
    left = (LEFT.match(line) for line in as_printed_for(block, quotient).splitlines())
    made = {name for found in left if found for name in re.split(", | = ", found[0])}
    assert {f"{state}ₜ" for state in row.states} <= made
    inside = {element_of(timeless(quotient.name_of(node))) for node in block.nodes}
    inside |= {timeless(quotient.name_of(node)) for node in block.nodes} | set(row.states)
    entering = list(names_entering(block, quotient))
    for arrow in quotient.entering[block]:  # of a step of a sequence the name of that
        for value in arrow.values:
            entering.append(Known(name_moved(value.node, quotient), arrow.source.time, None))
    entering += [Known(element_of(name), time, row) for name, time, row in entering]
    said, _ = without_expressions(as_printed_for(block, quotient), block, entering)
    called = {call.name.partition(".")[0] for node in block.nodes for call in node.calls}
    functions = FUNCTIONS | called | {node.op for node in block.nodes}
    parameters = {label for a in reached_by(block, quotient) for label in weights(a)}
    parameters |= {name.partition(".")[0] for name in parameters}
    functions |= {part for one in quotient.parameters for part in one.label.split(".")}
    for symbol in SYMBOL.finditer(NO_NAME.sub("", said)):
        name, step = symbol["name"], symbol["step"] or ""
        is_state = name in row.states and step in ("ₜ", "ₜ₋₁", "ₜ₊₁")
        assert (
            is_state
            or (step == "ₜ" and name in inside)
            or (symbol["call"] and name in functions)
            or (not step and name in WORDS | parameters | functions)
            or any(is_it(known, symbol, block) for known in entering)
        ), (symbol[0], said)


def name_moved(node, quotient):
    """The name of a value, or of what it was moved from."""
    while not quotient.name_of(node) and node.moved_from is not None:
        node = node.moved_from
    return quotient.name_of(node)


def without_expressions(said, block, entering):
    """An equation without the inputs that go by an expression, `index(letter)`, and these."""
    found = set()
    for known in entering:
        is_expression = known.name and not SYMBOL.fullmatch(known.name)
        if is_expression:
            step = "" if known.time is None else at_step(known.time - block.time)
            symbol = known.name + step
            if symbol in said:
                found.add(known.name)
                said = said.replace(symbol, "")
    return said, found


def as_printed_for(block, quotient):
    """The equation of a row as one of its copies reads it, with the lines that are about it."""
    written = block.row.equation.split("\n")
    said = [line for line in written if not re.match(rf"in |⁽.*⁾: |{BEGINNING}", line)]
    said = [line for line in said if not is_of_the_way(line, block.row, quotient)]
    for line in written:
        about, begins = re.match(r"in ([^:]+): (.*)", line), re.match(BEGINNING, line)
        if about and block.label in about[1].split(", "):
            new, replaces, old = about[2].partition(" for ")
            said = [one.replace(old, new) for one in said] if replaces else [*said, about[2]]
        elif begins and is_first(block, quotient):
            letter = begins[1] + at_step(int(begins[2].translate(DIGITS)) - block.time)
            said = [one.replace(letter, begins[3]) for one in said]
    return "\n".join(said)


def is_of_the_way(line, row, quotient):
    """Whether a line says what becomes of a state between the copies: of what that is made."""
    name = line.partition("ₜ = ")[0]
    inside = {quotient.name_of(node) for copy in row.blocks for node in copy.nodes}
    for block in quotient.blocks:
        if block.kind != "between" or block.caption != name or name in {*inside, *row.states}:
            continue
        arrows = list(reached_by(block, quotient))
        if any(arrow.source.row is row for arrow in arrows):
            read = {known.name for arrow in arrows for known in names_of(arrow, block, quotient)}
            for symbol in SYMBOL.finditer(NO_NAME.sub("", line)):
                assert symbol["name"] in read | {name} or symbol["call"], (symbol[0], line)
            return True
    return False


BEGINNING = r"([^ ₜ₋₀-₉]+)(₋?[₀-₉]+) = (.*)"  # what a chain begins with: "c₋₁ = …"


def is_first(block, quotient):
    return any(chain.copies[0] is block for chain in quotient.chains)


def reached_by(block, quotient):
    """The arrows into a copy, and into what stands between it and others on their way."""
    waiting, seen = [block], {block}
    for one in waiting:  # grows
        for arrow in quotient.entering[one]:
            yield arrow
            if arrow.source.kind == "between" and arrow.source not in seen:
                seen.add(arrow.source)
                waiting.append(arrow.source)


def weights(arrow):
    if arrow.source.kind in ("parameter", "derived"):
        yield arrow.source.label.rpartition(".")[2]


def names_entering(block, quotient):
    for arrow in reached_by(block, quotient):
        is_computed = arrow.target is not block and arrow.target.sign not in ("", "∥")
        for known in names_of(arrow, block, quotient):
            # of a state that is changed on its way something else enters
            if not (is_computed and known.row is block.row):
                yield known


def names_of(arrow, block, quotient):
    """What is read along an arrow, on its way to a copy; what tells its chain is left out."""
    for known in all_names_of(arrow, block, quotient):
        yield Known(known.name.removesuffix(block.prime), known.time, known.row)


def all_names_of(arrow, block, quotient):
    source = arrow.source
    row = source.row if source.kind == "cell" else None
    for label in (*source.labels, source.label):
        for part in label.split(", "):
            stem = part.rstrip("₋₀₁₂₃₄₅₆₇₈₉")
            index = part[len(stem) :].translate(DIGITS)
            if source.kind in ("input", "initial", "constant"):
                yield Known(stem, int(index) if index else None, None)
    for value in arrow.values:
        name = quotient.name_of(value.node).removesuffix("_t")
        time = source.time if row is not None or source.kind == "between" else None
        # what is made between the copies is no state of theirs, though it be called so
        yield Known(name, None if row is None and name in block.row.states else time, row)
    if source.kind == "between":
        yield Known(source.label, None, None)


def is_named(arrow, block, names, quotient):
    """Whether the equation says what is read along an arrow, or what that is made of."""
    if arrow.kind == "parameter" or any(
        stepless(known, block) & names for known in names_of(arrow, block, quotient)
    ):
        return True
    before = quotient.entering[arrow.source]
    return arrow.source.kind == "between" and all(
        is_named(one, block, names, quotient) for one in before
    )


def is_told(symbol, block, entering, parameters):
    name, row = symbol["name"], block.row
    if name in WORDS and not symbol["step"]:
        return True
    if symbol["call"] or name == "σ" or (name == "tanh" and not symbol["step"]):
        return name in FUNCTIONS or any(known.name == name for known in entering)
    if name[:2] in ("W_", "b_"):
        return any(parameter.startswith(name[:3]) for parameter in parameters)
    own = symbol["step"] == "ₜ" and not symbol["layer"]
    if own and (name in row.states or name in INSIDE.get(row.name, ())):
        return True
    return name in parameters or any(is_it(known, symbol, block) for known in entering)


def stepless(known, block):
    """What a value is called without its step: of another row also without its chain."""
    is_of_another = known.row not in (None, block.row)
    return {known.name} | ({primeless(known.name)} if is_of_another else set())


def is_it(known, symbol, block):
    """Whether a value that enters a copy is what a symbol says."""
    row, step = known.row, symbol["step"] or ""
    if symbol["name"] not in ({known.name} if step else stepless(known, block)):
        return False
    if step == "ₚ":
        return row is block.row
    if step:
        shift = step.removeprefix("ₜ").translate(DIGITS)
        said = block.time + int(shift or 0) if step[0] == "ₜ" else int(shift)
        if known.time != said:
            return False
    if symbol["layer"]:
        layer = int(symbol["layer"].translate(DIGITS))
        return (
            row is not block.row
            and row is not None
            and (row.layer, row.reverse) == (layer, bool(symbol["back"]))
        )
    is_another_s = row is not None and row is not block.row
    return not (is_another_s and symbol["name"] in block.row.states)
