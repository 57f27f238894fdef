"""Networks made by hand, as the finder would make them, with real arrays behind them."""

from itertools import count, pairwise

import numpy as np

from tinygrad_rnn.diagrams.player import to_html
from tinygrad_rnn.diagrams.views.options import Options
from tinygrad_rnn.diagrams.views.whole import draw_network
from tinygrad_rnn.tracing.network.quotient import (
    Arrow,
    Block,
    Chain,
    Output,
    Piece,
    Quotient,
    Read,
    Row,
    Words,
    indexed,
)
from tinygrad_rnn.tracing.recording.graph import Node

RNN = "hₜ = tanh(W_hh hₜ₋₁ + W_xh xₜ + b_h)"
LSTM = (
    "zₜ = W_xh xₜ + W_hh hₜ₋₁ + b_h\niₜ, fₜ, gₜ, oₜ = (σ, σ, tanh, σ)(zₜ)\n"
    "cₜ = fₜ ⊙ cₜ₋₁ + iₜ ⊙ gₜ\nhₜ = oₜ ⊙ tanh(cₜ)"
)
BATCH, INPUT, HIDDEN, OUTPUT = 1, 3, 5, 2


def draw(network, *, title=None, **options):
    """The diagram of a network."""
    chosen = Options(**options)
    return draw_network(network, chosen, title, lambda: to_html(network, chosen, title))


class Maker:
    """Collects the parts of a network; every method adds one and returns it.

    Blocks know their row, and rows their blocks: both are filled in at the end.
    """

    def __init__(self):
        self.ids = count()
        self.rows, self.blocks, self.arrows, self.chains = [], [], [], []
        self.outputs, self.parameters, self.brackets = [], [], []
        self.sources, self.to_loss, self.formula = {}, None, ""

    def piece(self, *shape):
        node = Node(
            id=next(self.ids),
            op=None,
            inputs=(),
            operands=(),
            data=np.zeros(shape),
            name=None,
            requires_grad=False,
            options={},
            scope=None,
        )
        return Piece(node)

    def hidden(self):
        return self.piece(BATCH, HIDDEN)

    def row(self, kind="RNNCell", path="rnn", equation=RNN, states=("h",), reverse=False):
        number = sum(row.kind == "cell" for row in self.rows)
        row = Row("cell", number, path, kind, equation, states, reverse=reverse)
        self.rows.append(row)
        return row

    def between_row(self, path, kind="between"):
        row = Row(kind, sum(row.kind == kind for row in self.rows), path, path)
        self.rows.append(row)
        return row

    def block(self, id, kind, **more):
        told = {name: more.pop(name) for name in ("label", "caption", "formula") if name in more}
        pieces = more.pop("pieces", None) or (self.hidden(),)
        block = Block(id, kind, lambda: pieces, words=lambda: Words(**told), **more)
        self.blocks.append(block)
        return block

    def cell(self, layer, t, column=None):
        row = next(row for row in self.rows if row.kind == "cell" and row.number == layer)
        states = tuple(self.hidden() for _ in row.states) or (self.hidden(),)
        return self.block(
            f"cell-{layer}-{t}",
            "cell",
            pieces=states,
            row=row,
            t=t,
            columns=(t if column is None else column,),
            label=indexed((*row.states, row.name)[0], t),
            states=states,
            outputs=states,
        )

    def chain(self, layer, columns, initial=True):
        """One row's cells over `columns` in calling order, their messages and the initial state."""
        cells = [self.cell(layer, t, column) for t, column in enumerate(columns)]
        row = cells[0].row
        begun = ()
        if initial:
            label = ", ".join(indexed(state, -1) for state in row.states) or "h₋₁"
            pieces = tuple(self.hidden() for _ in row.states)
            columns = cells[0].columns
            block = self.block(
                f"initial-{layer}", "initial", pieces=pieces, columns=columns, label=label
            )
            self.link("initial", block, cells[0])
            begun = (block,)
        for source, target in pairwise(cells):
            self.link("message", source, target)
        id, direction = f"chain-{layer}-0", -1 if row.reverse else 1
        circle = begun[0].id if begun else ""
        self.chains.append(Chain(id, row, tuple(cells), direction, begun, circle=circle))
        return cells

    def between(self, row, t, columns, label, sign=None, formula=""):
        return self.block(
            f"bar-{label}" if row.kind == "bar" else f"between-{row.number}-{t}",
            row.kind,
            row=row,
            t=t,
            columns=columns,
            label=label,
            formula=formula,
            sign=sign,
            outputs=(self.hidden(),),
        )

    def input(self, number, column, caption="", label="x"):
        return self.block(
            f"input-{number}",
            "input",
            pieces=(self.piece(BATCH, INPUT),),
            columns=(column,),
            label=indexed(label, column),
            caption=caption,
        )

    def output(self, number, column, caption="", time=None):
        value, label = self.piece(BATCH, OUTPUT), indexed("y", column if time is None else time)
        made = Output(f"output-{number}", value, None, column, label, caption)
        self.outputs.append(made)
        self.sources[made] = []
        return made

    def loss(self, *outputs, formula=""):
        self.to_loss, self.formula = outputs, formula

    def link(self, kind, source, target):
        if kind == "output":
            self.sources[target].append(source)
            return
        values = source.outputs or source.pieces
        if kind not in ("message", "initial"):
            values = values[:1]
        reads = tuple(Read(target.pieces[0], 0, value, "gradient", value.shape) for value in values)
        self.arrows.append(Arrow(source, target, kind, lambda: reads))

    def parameter(self, name, *shape):
        piece = self.piece(*shape)
        block = self.block(
            f"parameter-{name}", "parameter", pieces=(piece,), label=name, trained=name
        )
        self.parameters.append(block)

    def joined(self, output):
        """What an output is of: of several blocks it is joined together first."""
        sources = self.sources[output]
        if len(sources) < 2:
            return sources[0] if sources else None
        row = next((row for row in self.rows if row.path == "joined"), None)
        row = row or self.between_row("joined")
        t = sum(block.row is row for block in self.blocks)
        block = self.between(row, t, (output.column,), "∥", sign="∥")
        for source in sources:
            self.link("up", source, block)
        return block

    def network(self):
        outputs = []
        for output in self.outputs:
            source = self.joined(output)
            if source is not None:
                used = self.to_loss is not None and output in self.to_loss
                value = (source.outputs or source.pieces)[0]
                object.__setattr__(output, "source", source)
                object.__setattr__(output, "value", value)
                object.__setattr__(output, "used", used or self.to_loss is None)
                outputs.append(output)
        loss = None
        if self.to_loss is not None:
            loss = self.block("loss", "loss", label="L", formula=self.formula)
            for source in dict.fromkeys(output.source for output in outputs if output.used):
                self.link("loss", source, loss)
        for row in self.rows:
            object.__setattr__(row, "blocks", tuple(b for b in self.blocks if b.row is row))
        columns = [column for block in self.blocks for column in block.columns]
        return Quotient(
            blocks=tuple(self.blocks),
            arrows=tuple(self.arrows),
            rows=tuple(self.rows),
            chains=tuple(self.chains),
            columns=1 + max(columns),
            outputs=tuple(outputs),
            brackets=tuple(self.brackets),
            parameters=tuple(self.parameters),
            loss=loss,
            root=self.piece().node,
            inside=lambda block: (),
        )


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
