"""How much of a text does each cell learn, against what counting its characters gives?"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..autograd.tensor import Tensor
from ..cached import cached_property
from ..training.data import STANDARD_LIBRARY, Corpus, read_text, standard_library
from ..training.loop import Run, Settings
from ..training.word import Speller
from .plots import Chart, Grid, Line
from .study import Record, Row, Study

HIDDEN, SEQUENCE, BATCH, UPDATES, FULL_UPDATES, EVERY = 64, 32, 16, 500, 5000, 50
CHARACTERS = 300_000
COUNTS = ("no character", "one character", "two characters")


class Text(Study):
    """The loss on held-out text while learning, by cell, against the entropies of its n-grams.

    H(X_t), H(X_t | X_{t-1}) and H(X_t | X_{t-2} X_{t-1}) are what a guesser reaches that knows the
    frequencies after none, one or two characters, counted on the very text, the held-out part
    included: a network that is below H(X_t | X_{t-1}) on text it has never seen uses more of the
    past than the last character. The third is drawn, and nothing is claimed about it: few texts
    are long enough for their own counts of three characters to be fair.
    """

    name = "text"
    question = "How much of a text's past does each cell use, after so many steps?"
    source = (
        "Shannon, Prediction and Entropy of Printed English (1951), eq. 1; "
        "Karpathy, Johnson, Fei-Fei (2015)"
    )

    def __init__(self, file: Path | None = None) -> None:
        self.file = file

    @cached_property
    def corpus(self) -> Corpus:
        """The text: the beginning of a long one."""
        if self.file is None:
            return Corpus.of(standard_library(CHARACTERS), STANDARD_LIBRARY, SEQUENCE)
        return Corpus.of(read_text(self.file)[:CHARACTERS], str(self.file), SEQUENCE)

    def runs(self, full: bool) -> list[dict[str, Any]]:
        updates = FULL_UPDATES if full else UPDATES
        return [
            {"cell": cell, "limit": updates, "text": self.corpus.digest}
            for cell in ("lstm", "gru", "rnn")
        ]

    def run(self, seed: int, **settings: Any) -> dict[str, Any]:
        how = Settings(
            cell=settings["cell"], hidden=HIDDEN, seq=SEQUENCE, batch=BATCH, lr=5e-3, seed=seed
        )
        run = Run(self.corpus, how)
        updates, losses = [0], [run.validate()]
        while updates[-1] < settings["limit"]:
            for _ in range(EVERY):
                run.step()
            updates.append(updates[-1] + EVERY)
            losses.append(run.validate())
        return {"updates": updates, "losses": losses}

    def rows_of(self, record: Record) -> list[Row]:
        best = min(record["losses"])
        learned = f"{record['cell'].upper()}, {record['limit']} updates"
        rows = []
        for known, entropy in list(zip(COUNTS, self.corpus.entropies, strict=True))[:2]:
            claim = f"{learned}: better than knowing {known}"
            reference = f"< {entropy:.3f} nats a character"
            rows.append(Row(claim, reference, f"{best:.3f}", record.seed, best < entropy))
        return rows

    def charts(self, records: Sequence[Record]) -> Sequence[Chart | Grid]:
        own = [record for record in records if record.seed == 0]
        lines = [
            Line(record["cell"].upper(), record["updates"], record["losses"]) for record in own
        ]
        end = max(record["updates"][-1] for record in own)
        for known, entropy in zip(COUNTS, self.corpus.entropies, strict=True):
            lines.append(
                Line(f"knowing {known}: {entropy:.2f}", [0, end], [entropy] * 2, "reference")
            )
        y = "loss on held-out text, nats a character"
        return [Chart("Learning a text", "update", y, lines)]

    def loss(self) -> Tensor:
        return Speller.of("hello world", hidden=16).loss()
