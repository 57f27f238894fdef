"""The text that a character model trains on."""

import hashlib
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..autograd.tensor import Array
from ..cached import cached_property
from ..errors import TrainingError
from ..files import MOST_TEXT, read_regular

STANDARD_LIBRARY = "the standard library's source"
# One in so many characters is held out for validation.
HELD_OUT = 10
# A long text is held out in many places, since texts change on their way: pieces of at least so
# many characters, and at most so many pieces.
PIECE, MOST_PIECES = 20_000, 20


def read_text(path: Path, encoding: str = "utf-8") -> str:
    """The text of a file, whatever its line ends, with Unix's.

    Raises:
        TrainingError: a file that is binary, or not in this encoding.
        OSError: the file cannot be read, is not a regular file, or has more than 128 MiB.
    """
    return decode(read_regular(path, MOST_TEXT), str(path), encoding)


def decode(data: bytes, name: str, encoding: str = "utf-8") -> str:
    """Bytes as text; see `read_text`."""
    try:
        text = data.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        if b"\0" in data:
            place = f"byte {data.index(0)}"
            raise TrainingError(f"{name} is a binary file ({place} is 0); give a text") from None
        raise TrainingError(
            f"{name} is not {encoding}: byte {error.start} is 0x{data[error.start]:02x}; "
            "say what it is, as --encoding latin-1, or convert it"
        ) from None
    except (LookupError, ValueError) as error:
        if type(error) is UnicodeError:  # of codecs that say no more
            raise TrainingError(f"{name} is not {encoding}: {error}") from None
        advice = "try utf-8, latin-1 or cp1252"
        raise TrainingError(f"there is no encoding {encoding!r}; {advice}") from None
    if "\0" in text:
        place = f"character {text.index(chr(0))}"
        raise TrainingError(f"{name} is a binary file ({place} is 0); give a text")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def standard_library(characters: int = 1_000_000) -> str:
    """The beginning of this Python's own standard library: a text that is on every machine.

    Raises:
        TrainingError: this Python came without its source.
    """
    text = ""
    for path in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py")):
        text += path.read_text("utf-8")
        if len(text) >= characters:
            break
    if not text:
        raise TrainingError(
            "this Python came without the source of its standard library; give a FILE"
        )
    return text[:characters]


@dataclass(frozen=True)
class Vocabulary:
    """The characters a model knows; a character's number is its place."""

    characters: str

    @classmethod
    def of(cls, text: str) -> "Vocabulary":
        """The characters of a text, in the order of their code points."""
        return cls("".join(sorted(set(text))))

    def __len__(self) -> int:
        return len(self.characters)

    def encode(self, text: str) -> Array:
        """The number of each character, (len(text),).

        Raises:
            TrainingError: a character that is not in the vocabulary.
        """
        unknown = sorted(set(text) - set(self.characters))
        if unknown:
            shown = ", ".join(repr(character) for character in unknown[:5])
            if len(unknown) > 5:
                shown += " …"
            raise TrainingError(f"the model has never seen {shown}; it knows {self.characters!r}")
        number = {character: i for i, character in enumerate(self.characters)}
        return np.fromiter((number[character] for character in text), np.int64, len(text))

    def one_hot(self, numbers: Array, dtype: np.dtype) -> Array:
        """(…) numbers as (…, V): 1 at the character's place, else 0."""
        hot = np.zeros((*numbers.shape, len(self)), dtype)
        np.put_along_axis(hot, numbers[..., None], 1, axis=-1)
        return hot


@dataclass(frozen=True)
class Corpus:
    """A text as numbers: nine tenths to train on, and one tenth held out, to test on.

    A long text is cut into pieces, and the last tenth of each is held out.

    `name` is what messages call it, the path of a file; `encoding` is the file's.
    """

    name: str
    text: str
    vocabulary: Vocabulary
    numbers: Array
    encoding: str

    @classmethod
    def of(cls, text: str, name: str, sequence: int, encoding: str = "utf-8") -> "Corpus":
        """A text of which both parts hold one sequence of inputs and targets at least.

        Raises:
            TrainingError: an empty text, or one too short.
        """
        if not text:
            raise TrainingError(f"{name} is empty; a character model needs something to read")
        needed = HELD_OUT * (sequence + 1)
        if len(text) < needed:
            advice = f"{2 * HELD_OUT} are the least for any"
            longest = len(text) // HELD_OUT - 1
            if longest >= 1:
                advice = f"--seq {longest} would do"
            raise TrainingError(
                f"{name} has {len(text)} characters, too few for sequences of {sequence}: {needed} "
                f"are needed, since one in {HELD_OUT} is held out; {advice}"
            )
        vocabulary = Vocabulary.of(text)
        return cls(name, text, vocabulary, vocabulary.encode(text), encoding)

    @cached_property
    def training(self) -> Array:
        """The numbers to train on."""
        return np.concatenate([piece[: -(len(piece) // HELD_OUT)] for piece in self._pieces()])

    @cached_property
    def held_out(self) -> Array:
        """The numbers that are never trained on."""
        return np.concatenate([piece[-(len(piece) // HELD_OUT) :] for piece in self._pieces()])

    def _pieces(self) -> list[Array]:
        return np.array_split(self.numbers, min(MOST_PIECES, max(1, len(self.numbers) // PIECE)))

    @cached_property
    def digest(self) -> str:
        """Tells this text from every other."""
        return hashlib.sha256(self.text.encode("utf-8", "surrogatepass")).hexdigest()

    @cached_property
    def entropies(self) -> tuple[float, float, float]:
        """How hard the next character is to guess, in nats, from none, one or two before it.

        H(X_t), H(X_t | X_{t-1}), H(X_t | X_{t-2} X_{t-1}) of the text's own frequencies. Source: C.
        E. Shannon, Prediction and Entropy of Printed English (1951).
        """
        joint = [0.0, *(self._block_entropy(length) for length in (1, 2, 3))]
        # The ends of a short text can make a difference negative.
        first, second, third = np.diff(joint).clip(min=0)
        return float(first), float(second), float(third)

    def _block_entropy(self, length: int) -> float:
        """H(X_{t-length+1} … X_t), in nats."""
        count = len(self.numbers) - length + 1
        blocks = np.zeros(count, np.int64)
        for place in range(length):
            blocks = blocks * len(self.vocabulary) + self.numbers[place : place + count]
        _, counts = np.unique(blocks, return_counts=True)
        shares = counts / count
        return abs(float((shares * np.log(shares)).sum()))  # abs, lest it be -0.0


def batch(numbers: Array, streams: int, sequence: int, step: int) -> tuple[Array, Array]:
    """Inputs and targets of a step, each (T, B).

    Stream b reads on where it stopped the step before. The text is a ring on which the streams
    start at equal distances.
    """
    starts = np.arange(streams) * len(numbers) // streams + step * sequence
    window = numbers[(starts + np.arange(sequence + 1)[:, None]) % len(numbers)]
    return window[:-1], window[1:]
