"""RNN, LSTM and GRU nodes: our cells, in loops over time."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...autograd import ops
from ...autograd.tensor import Array, Tensor
from ...nn.cells import Cell, state_parts
from ...nn.module import Module, Parameter
from ..nodes.values import plain
from ..reading.graph import Node
from .cells import DEFAULTS, PLAIN, VARIANTS, Variant, activations_of

# Which block of ONNX's stacked gates each of ours is: ONNX has i o f c, z r h, and peepholes i o f.
_GATES = {"RNN": (0,), "LSTM": (0, 2, 3, 1), "GRU": (1, 0, 2)}
PEEPHOLES = (0, 2, 1)
_DIRECTIONS = {"forward": (False,), "reverse": (True,), "bidirectional": (False, True)}
WEIGHTS = (1, 2, 3, 7)  # the inputs W, R, B and P


class RecurrentLayer(Module):
    """A recurrent node: one cell a direction, called once per timestep.

    `Y, Y_h = layer(X, W, R, B, sequence_lens, initial_h)`, and of an LSTM Y_c too, as ONNX has
    them: X (T, B, I), Y (T, directions, B, H), the states (directions, B, H).

    Args:
        node: of op RNN, LSTM or GRU.
        weights: input number -> array, where the file has them; else they come with each call.

    Raises:
        OnnxError: sizes that do not fit, or an unknown direction or activation.
    """

    def __init__(self, node: Node, weights: Mapping[int, Array]) -> None:
        self._node = node
        direction = node.attributes["direction"]
        if direction not in _DIRECTIONS:
            raise node.refused(f"no direction {direction!r}")
        self.backwards = _DIRECTIONS[direction]
        self.batch_first = bool(node.attributes.get("layout"))
        special = _specials(node, len(self.backwards))
        self.cells = [_cell(node, one) for one in special]
        self._is_bound = bool(weights)
        if weights:
            self._check([weights.get(i) for i in WEIGHTS])
            for d, cell in enumerate(self.cells):
                parts = _parts(node.op, cell, [_direction(weights.get(i), d) for i in WEIGHTS])
                for name, part in parts.items():
                    setattr(cell, name, None if part is None else Parameter(part))

    def extra_repr(self) -> str:
        return f"{self._node.op}, {self._node.attributes['direction']}"

    def _check(self, weights: Sequence[Any]) -> None:
        """Refuse weights whose shapes do not fit together, and tell the cells their sizes."""
        W, R, B, P = weights
        gates, count = len(_GATES[self._node.op]), len(self.cells)
        if W is None or R is None or W.ndim != 3 or R.ndim != 3:
            raise self._node.refused("W and R must have three axes")
        size, features = R.shape[2], W.shape[2]
        expected = {
            "W": (W, (count, gates * size, features)),
            "R": (R, (count, gates * size, size)),
            "B": (B, (count, 2 * gates * size)),
            "P": (P, (count, 3 * size)),
        }
        for name, (array, shape) in expected.items():
            if array is not None and array.shape != shape:
                raise self._node.refused(f"{name} has shape {array.shape}, and needs {shape}")
        if self._node.attributes.get("hidden_size", size) != size:
            given = self._node.attributes["hidden_size"]
            raise self._node.refused(f"hidden_size {given}, but R is of {size}")
        for cell in self.cells:
            cell.input_size, cell.hidden_size = features, size
            cell.bias = B is not None

    def forward(
        self,
        X: Any,
        W: Any = None,
        R: Any = None,
        B: Any = None,
        lengths: Any = None,
        h: Any = None,
        c: Any = None,
        P: Any = None,
    ) -> tuple[Any, ...]:
        """Read whole sequences; inputs and outputs as ONNX has them.

        Raises:
            OnnxError: another shape.
        """
        if not self._is_bound:
            self._bind([W, R, B, P])
        if X.ndim != 3 or X.shape[2] != self.cells[0].input_size:
            raise self._node.refused(f"X has shape {X.shape}")
        X = X if isinstance(X, Tensor) else Tensor(X)
        xs = ops.unstack(X, int(self.batch_first))
        batch = X.shape[0 if self.batch_first else 1]
        if not xs:
            raise self._node.refused("X has no timesteps")
        alive = self._alive(lengths, len(xs), batch)
        shown: list[list[Tensor]] = [[] for _ in xs]
        states: list[tuple[Tensor, ...]] = []
        for d, cell in enumerate(self.cells):
            state = self._initial(cell, d, batch, h, c)
            order = range(len(xs))
            for t in reversed(order) if self.backwards[d] else order:
                state = cell(xs[t], state, alive[t])
                shown[t].append(_masked(state_parts(state)[0], alive[t]))
            states.append(state_parts(state))
        axis = int(self.batch_first)
        finals = [ops.stack(parts, axis) for parts in zip(*states, strict=True)]
        return self._whole(shown), *finals

    def _whole(self, shown: Sequence[Sequence[Tensor]]) -> Any:
        """Y, of what each direction shows at each timestep."""
        if not self._node.has_output(0):
            return None
        if len(self.cells) == 1:  # one stack, and an axis of length 1
            y = ops.stack([hs[0] for hs in shown], int(self.batch_first))
            return ops.expand_dims(y, 2 if self.batch_first else 1)
        if self.batch_first:
            return ops.stack([ops.stack(hs, 1) for hs in shown], 1)
        return ops.stack([ops.stack(hs) for hs in shown])

    def _initial(self, cell: Cell, d: int, batch: int, h: Any, c: Any) -> Any:
        given = [h, c][: len(cell.states)]
        if all(part is None for part in given):
            return cell.initial_state((batch,))
        zeros = np.zeros((batch, cell.hidden_size), cell.W_hh.dtype)
        index = (slice(None), d) if self.batch_first else (d,)
        parts = [_part(zeros if x is None else x, () if x is None else index) for x in given]
        return parts[0] if len(parts) == 1 else tuple(parts)

    def _alive(self, lengths: Any, steps: int, batch: int) -> list[Array | None]:
        """For each step, which sequences are not over yet; None: all of them."""
        if lengths is None:
            return [None] * steps
        ends = plain(lengths)
        if ends.shape != (batch,):
            raise self._node.refused(f"sequence_lens has shape {ends.shape}, and needs {(batch,)}")
        return [None if (t < ends).all() else t < ends for t in range(steps)]

    def _bind(self, weights: Sequence[Any]) -> None:
        """Take weights that other nodes made."""
        self._check(weights)
        for d, cell in enumerate(self.cells):
            tensors = [None if x is None else ops.getitem(x, d) for x in weights]
            for name, part in _parts(self._node.op, cell, tensors).items():
                setattr(cell, name, part)


def _specials(node: Node, directions: int) -> list[Variant | None]:
    """For each direction, how its cell differs from ours; None: it does not."""
    attributes, usual = node.attributes, DEFAULTS[node.op]
    names = attributes.get("activations") or []
    names = list(names) or usual * directions
    if node.op == "RNN":  # whose default is for two directions
        names = names[:directions]
    if len(names) != len(usual) * directions:
        raise node.refused(f"{len(names)} activations for {directions} directions")
    clip, coupled = attributes.get("clip"), bool(attributes.get("input_forget"))
    try:
        functions = activations_of(
            names,
            attributes.get("activation_alpha") or [],
            attributes.get("activation_beta") or [],
        )
    except KeyError as error:
        raise node.refused(f"no activation {error}") from None
    made: list[Variant | None] = []
    for d in range(directions):
        part = slice(d * len(usual), (d + 1) * len(usual))
        is_usual = [name.lower() for name in names[part]] in (usual, _rectified(node))
        if is_usual and clip is None and not coupled:
            made.append(None)
        else:
            made.append(Variant(functions[part], clip, coupled))
    return made


def _rectified(node: Node) -> list[str] | None:
    """Activations that ours has, beside the usual ones."""
    return ["relu"] if node.op == "RNN" else None


def _cell(node: Node, special: Variant | None) -> Cell:
    """A cell of no size yet."""
    options: dict[str, Any] = {}
    if node.op == "GRU":
        options["reset_after"] = bool(node.attributes.get("linear_before_reset"))
    if node.op == "RNN" and special is None:
        names = node.attributes.get("activations") or ["Tanh"]
        options["nonlinearity"] = names[0].lower()
    cell = (VARIANTS if special else PLAIN)[node.op](1, 1, rng=0, **options)
    if special is not None:
        cell.special = special
    return cell


def _direction(weights: Array | None, d: int) -> Array | None:
    return None if weights is None else weights[d]


def _parts(op: str, cell: Any, weights: Sequence[Any]) -> dict[str, Any]:
    """Our parameters of one direction, of ONNX's: gates in another order, two biases in one."""
    W, R, B, P = weights
    order, size = _GATES[op], cell.hidden_size
    parts = {"W_xh": reordered(W, order, size), "W_hh": reordered(R, order, size), "b_h": None}
    two = op == "GRU" and cell.reset_after
    if op == "GRU":
        parts["b_x"] = None
    if B is not None:
        rows = len(order) * size
        of_x, of_h = reordered(B[:rows], order, size), reordered(B[rows:], order, size)
        parts["b_h"] = of_h if two else of_x + of_h
        if two:
            parts["b_x"] = of_x
    if op == "LSTM":
        cell.peephole = P is not None
        parts["w_c"] = None if P is None else reordered(P, PEEPHOLES, size)
    return parts


def weights_of_cell(
    op: str, cell: Any, weights: Sequence[Array | None], d: int
) -> dict[str, Array | None]:
    """The parameters of a cell of ours, of ONNX's weights of its layer; `d` is its direction."""
    parts = _parts(op, cell, [_direction(one, d) for one in weights])
    if getattr(cell, "coupled", False):  # ONNX has the input gate, too, which ours needs not
        size = cell.hidden_size
        parts = {name: None if x is None else x[size:] for name, x in parts.items()}
    return parts


def reordered(x: Any, order: Sequence[int], size: int) -> Any:
    """Blocks of rows in another order."""
    if len(order) == 1:
        return x
    blocks = [x[k * size : (k + 1) * size] for k in order]
    return ops.concatenate(blocks) if isinstance(x, Tensor) else np.concatenate(blocks)


def _part(x: Any, index: tuple[Any, ...]) -> Tensor:
    """The initial state of one direction; of a constant it is one, too, made by no op."""
    return ops.getitem(x, index) if isinstance(x, Tensor) else Tensor(x[index])


def _masked(h: Tensor, alive: Array | None) -> Tensor:
    """What is shown: zeros where the sequence is over."""
    return h if alive is None else ops.where(alive[:, None], h, np.zeros((), h.dtype))
