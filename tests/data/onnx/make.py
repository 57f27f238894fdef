"""Writes the models of this folder, and what PyTorch makes of an example of each.

Made once, with torch 2.13, onnxscript 0.7 and onnx 1.23; none of them is needed to read the files:

    python tests/data/onnx/make.py

Each `name.onnx` has a `name.npz` beside it: the inputs by their names, and the output.
"""

from pathlib import Path

import numpy as np
import onnx
import torch
from torch import nn

HERE = Path(__file__).parent
VOCABULARY, EMBEDDED, HIDDEN = 12, 6, 8


class CharLSTM(nn.Module):
    """A character model: which one comes next."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, EMBEDDED)
        self.lstm = nn.LSTM(EMBEDDED, HIDDEN)
        self.head = nn.Linear(HIDDEN, VOCABULARY)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        ys, _ = self.lstm(self.embedding(ids))
        return self.head(ys)


class Attention(nn.Module):
    """Bahdanau's: the source's states, weighted by how well each goes with the decoder's."""

    def __init__(self) -> None:
        super().__init__()
        self.query = nn.Linear(HIDDEN, HIDDEN)
        self.key = nn.Linear(HIDDEN, HIDDEN)
        self.score = nn.Linear(HIDDEN, 1)

    def forward(self, h: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
        scores = self.score(torch.tanh(self.query(h) + self.key(states)))
        return (torch.softmax(scores, 0) * states).sum(0)


class Seq2Seq(nn.Module):
    """A translator with attention: a GRU reads, a cell writes, one word a step."""

    def __init__(self) -> None:
        super().__init__()
        self.source = nn.Embedding(VOCABULARY, EMBEDDED)
        self.target = nn.Embedding(VOCABULARY, EMBEDDED)
        self.encoder = nn.GRU(EMBEDDED, HIDDEN)
        self.attention = Attention()
        self.decoder = nn.GRUCell(EMBEDDED + HIDDEN, HIDDEN)
        self.head = nn.Linear(HIDDEN, VOCABULARY)

    def forward(self, source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        states, last = self.encoder(self.source(source))
        h, words = last[0], self.target(target)
        scores = []
        for t in range(target.shape[0]):
            context = self.attention(h, states)
            h = self.decoder(torch.cat([words[t], context], 1), h)
            scores.append(self.head(h))
        return torch.stack(scores)


class Tagger(nn.Module):
    """A tag for each word, by what stands before it and behind it."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, EMBEDDED)
        self.gru = nn.GRU(EMBEDDED, HIDDEN, bidirectional=True)
        self.head = nn.Linear(2 * HIDDEN, 3)

    def forward(self, words: torch.Tensor) -> torch.Tensor:
        states, _ = self.gru(self.embedding(words))
        return torch.log_softmax(self.head(states), -1)


class Looped(nn.Module):
    """A cell of one's own in a loop as long as the input: it becomes a Loop."""

    def __init__(self) -> None:
        super().__init__()
        self.x2h = nn.Linear(3, HIDDEN)
        self.h2h = nn.Linear(HIDDEN, HIDDEN)

    def forward(self, xs: torch.Tensor) -> torch.Tensor:
        h = torch.zeros(xs.size(1), 8)
        for t in range(xs.size(0)):
            h = torch.tanh(self.x2h(xs[t]) + self.h2h(h))
        return h


def keep(name: str, model: nn.Module, inputs: dict[str, torch.Tensor], **options: object) -> None:
    """Export a model, and write what it makes of the inputs."""
    model.eval()
    path = HERE / f"{name}.onnx"
    torch.onnx.export(
        model, tuple(inputs.values()), str(path), input_names=list(inputs), **options
    )  # fmt: skip
    plain = without_paths(onnx.load(str(path)))
    path.write_bytes(plain.SerializeToString())
    with torch.no_grad():
        output = model(*inputs.values())
    arrays = {key: x.numpy() for key, x in inputs.items()}
    np.savez(HERE / f"{name}.npz", output=output.numpy(), **arrays)


def without_paths(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model without what PyTorch notes of this machine: stack traces, and its own graph."""
    for node in model.graph.node:
        node.doc_string = ""
        kept = [one for one in node.metadata_props if one.key.endswith(("scopes", "hierarchy"))]
        del node.metadata_props[:]
        node.metadata_props.extend(kept)
    del model.graph.metadata_props[:]
    del model.metadata_props[:]
    return model


if __name__ == "__main__":
    torch.manual_seed(0)
    ids = torch.randint(0, VOCABULARY, (5, 2))
    open_axes = {"ids": {0: "time", 1: "batch"}}
    keep(
        "char_lstm", CharLSTM(), {"ids": ids}, output_names=["logits"], dynamic_axes=open_axes,
        dynamo=False,
    )  # fmt: skip
    keep(
        "seq2seq", Seq2Seq(), {"source": ids, "target": ids[:3]}, output_names=["scores"],
        external_data=False,
    )  # fmt: skip
    keep("tagger", Tagger(), {"words": ids}, output_names=["tags"], external_data=False)
    keep(
        "loop", torch.jit.script(Looped()), {"xs": torch.randn(4, 2, 3)}, output_names=["last"],
        dynamic_axes={"xs": {0: "time", 1: "batch"}}, dynamo=False,
    )  # fmt: skip
