"""Networks made by hand, as the finder would make them, with real arrays behind them."""

from collections import Counter
from dataclasses import replace
from itertools import count, pairwise

import numpy as np

from tinygrad_rnn.diagrams.player import to_html
from tinygrad_rnn.diagrams.views.options import Options
from tinygrad_rnn.diagrams.views.whole import draw_network
from tinygrad_rnn.tracing.network.network import (
    Cell,
    Link,
    Network,
    ParameterInfo,
    Port,
    Row,
    Section,
)
from tinygrad_rnn.tracing.recording.graph import Node

RNN = "hₜ = tanh(W_hh hₜ₋₁ + W_xh xₜ + b_h)"
LSTM = "cₜ = fₜ ⊙ cₜ₋₁ + iₜ ⊙ gₜ\nhₜ = oₜ ⊙ tanh(cₜ)"
BATCH, INPUT, HIDDEN, OUTPUT = 1, 3, 5, 2
_SUBSCRIPTS = str.maketrans("0123456789-", "₀₁₂₃₄₅₆₇₈₉₋")


def draw(network, *, title=None, **options):
    """The diagram of a network."""
    chosen = Options(**options)
    return draw_network(network, chosen, title, lambda: to_html(network, chosen, title))


def below(t):
    return str(t).translate(_SUBSCRIPTS)


class Maker:
    """Collects the parts of a network; every method adds one and returns it."""

    def __init__(self):
        self.ids = count()
        self.rows, self.cells, self.ports, self.links, self.parameters = [], [], [], [], []

    def node(self, *shape, name=None):
        return Node(
            id=next(self.ids),
            op=None,
            inputs=(),
            operands=(),
            data=np.zeros(shape),
            name=name,
            requires_grad=False,
            options={},
            scope=None,
        )

    def hidden(self):
        return self.node(BATCH, HIDDEN)

    def row(self, kind="RNNCell", path="rnn", equation=RNN, states=("h",), reverse=False):
        row = Row(len(self.rows), path, kind, equation, states, 0, reverse=reverse)
        self.rows.append(row)
        return row

    def cell(self, layer, t, column=None):
        hidden = tuple(self.hidden() for _ in self.rows[layer].states)
        cell = Cell(layer, t, t if column is None else column, (), hidden or (self.hidden(),))
        self.cells.append(cell)
        return cell

    def chain(self, layer, columns, initial=True):
        """One row's cells over `columns` in calling order, their messages and the initial state."""
        cells = [self.cell(layer, t, column) for t, column in enumerate(columns)]
        if initial:
            port = Port(f"initial-{layer}", "initial", "h₋₁", "", self.hidden(), layer=layer)
            self.ports.append(port)
            self.link("initial", port, cells[0])
        for source, target in pairwise(cells):
            self.link("message", source, target)
        return cells

    def input(self, number, column, caption="", label="x"):
        node = self.node(BATCH, INPUT)
        port = Port(
            f"input-{number}", "input", f"{label}{below(column)}", caption, node, column=column
        )
        self.ports.append(port)
        return port

    def output(self, number, column, caption=""):
        node = self.node(BATCH, OUTPUT)
        port = Port(f"output-{number}", "output", f"y{below(column)}", caption, node, column=column)
        self.ports.append(port)
        return port

    def loss(self, *sources):
        port = Port("loss", "loss", "L", "", self.node())
        self.ports.append(port)
        for source in sources:
            self.link("loss", source, port)
        return port

    def link(self, kind, source, target):
        if isinstance(source, Cell):
            values = (target.node,) if kind == "output" else source.outputs
        else:
            values = (source.node,)
        self.links.append(Link(kind, source.id, target.id, values))

    def parameter(self, name, *shape):
        self.parameters.append(ParameterInfo(name, shape, self.node(*shape, name=name)))

    def network(self):
        copies = Counter(cell.layer for cell in self.cells)
        rows = tuple(replace(row, copies=copies[row.layer]) for row in self.rows)
        columns = 1 + max(cell.column for cell in self.cells)
        kinds = {port.kind for port in self.ports}
        return Network(
            rows, columns, "input" in kinds, "output" in kinds, self.part, tuple(self.parameters)
        )

    def part(self, columns):
        shown = {part.id for part in (*self.cells, *self.ports) if part.column in columns}
        to_loss = [link for link in self.links if link.kind == "loss" and link.source not in shown][
            :1
        ]
        links = [
            link
            for link in self.links
            if link.source in shown or link.target in shown or link in to_loss
        ]
        cells = [cell for cell in self.cells if cell.column in columns]
        ports = [port for port in self.ports if port.column is None or port.column in columns]
        return Section(tuple(cells), tuple(ports), tuple(links))


def stack(
    steps=4,
    layers=1,
    *,
    kind="RNNCell",
    equation=RNN,
    states=("h",),
    captions=None,
    loss=None,
    inputs=1,
):
    """Recurrent layers, inputs below, outputs above, a loss of "each" step or of the "last"."""
    maker = Maker()
    below_cells = None
    for layer in range(layers):
        maker.row(kind, "rnn", equation, states)
        cells = maker.chain(layer, range(steps))
        for t, cell in enumerate(cells):
            if below_cells:
                maker.link("up", below_cells[t], cell)
            else:
                for place in range(inputs):
                    caption = captions[0][t] if captions else ""
                    maker.link(
                        "input",
                        maker.input(t * inputs + place, t, caption, "xuvw"[place % 4]),
                        cell,
                    )
        below_cells = cells
        suffix = f"_l{layer}" if layer else ""
        maker.parameter(f"W_xh{suffix}", HIDDEN, HIDDEN if layer else INPUT)
        maker.parameter(f"W_hh{suffix}", HIDDEN, HIDDEN)
        maker.parameter(f"b_h{suffix}", HIDDEN)
    outputs = [maker.output(t, t, captions[1][t] if captions else "") for t in range(steps)]
    for cell, output in zip(below_cells, outputs, strict=True):
        maker.link("output", cell, output)
    maker.parameter("W_hy", OUTPUT, HIDDEN)
    if loss:
        maker.loss(*(outputs if loss == "each" else outputs[-1:]))
    return maker.network()


def lstm(steps=4, layers=1, **options):
    return stack(steps, layers, kind="LSTMCell", equation=LSTM, states=("h", "c"), **options)


def bidirectional(steps=4):
    maker = Maker()
    maker.row("RNNCell", "rnn")
    maker.row("RNNCell", "rnn", reverse=True)
    forward = maker.chain(0, range(steps))
    backward = maker.chain(1, range(steps - 1, -1, -1))[::-1]
    for t in range(steps):
        source, target = maker.input(t, t), maker.output(t, t)
        for cell in (forward[t], backward[t]):
            maker.link("input", source, cell)
            maker.link("output", cell, target)
    for name in ("W_xh", "W_hh", "b_h", "W_xh_reverse", "W_hh_reverse", "b_h_reverse"):
        maker.parameter(name, HIDDEN, HIDDEN)
    return maker.network()


def encoder_decoder(source="abc", target="xyz", attention=False):
    maker = Maker()
    maker.row("GRUCell", "encoder", None)
    maker.row("GRUCell", "decoder", None)
    first = len(source)
    encoder = maker.chain(0, range(first))
    decoder = maker.chain(1, range(first, first + len(target)), initial=False)
    maker.link("other", encoder[-1], decoder[0])
    for column, (letter, cell) in enumerate(zip(source + target, encoder + decoder, strict=True)):
        maker.link("input", maker.input(column, column, letter), cell)
    for number, cell in enumerate(decoder):
        maker.link("output", cell, maker.output(number, cell.column, target[number]))
        if attention:
            for other in encoder if number else encoder[:-1]:
                maker.link("other", other, cell)
    for name in (
        "encoder.W_x",
        "encoder.W_h",
        "encoder.b",
        "decoder.W_x",
        "decoder.W_h",
        "decoder.b",
    ):
        maker.parameter(name, 3 * HIDDEN, HIDDEN)
    return maker.network()
