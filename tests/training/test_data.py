"""A person's text: what can be read, what cannot, and what its own frequencies say."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_rnn.errors import TrainingError
from tinygrad_rnn.training.data import (
    Corpus,
    Vocabulary,
    batch,
    decode,
    read_text,
    standard_library,
)


@pytest.mark.parametrize(
    ("data", "encoding", "text"),
    [
        (b"hello\n", "utf-8", "hello\n"),
        ("Grüße 😀".encode(), "utf-8", "Grüße 😀"),
        (b"\xef\xbb\xbfmark", "utf-8", "mark"),
        (b"one\r\ntwo\rthree\n", "utf-8", "one\ntwo\nthree\n"),
        (b"caf\xe9", "latin-1", "café"),
        ("hé".encode("utf-16"), "utf-16", "hé"),
    ],
)
def test_what_can_be_read(tmp_path, data, encoding, text):
    path = tmp_path / "text.txt"
    path.write_bytes(data)
    assert read_text(path, encoding) == text


@pytest.mark.parametrize(
    ("data", "encoding", "message"),
    [
        (
            b"caf\xe9 noir",
            "utf-8",
            r"my\.txt is not utf-8: byte 3 is 0xe9; say what it is, as --encoding latin-1",
        ),
        (b"\x89PNG\r\n\x1a\n\0\0", "utf-8", r"my\.txt is a binary file \(byte 8 is 0\)"),
        (b"text\0text", "utf-8", r"my\.txt is a binary file \(character 4 is 0\)"),
        (b"x", "klingon", "there is no encoding 'klingon'"),
        (b"x", "utf-8\0", r"there is no encoding 'utf-8\\x00'"),
        (b"x", "\ud800", r"there is no encoding '\\ud800'"),
        (b"x", "rot13", "there is no encoding 'rot13'"),
        (b"a, b -x y,", "punycode", r"my\.txt is not punycode: "),
    ],
)
def test_what_cannot_be_read(data, encoding, message):
    with pytest.raises(TrainingError, match=message):
        decode(data, "my.txt", encoding)


@pytest.mark.parametrize(
    ("text", "sequence", "message"),
    [
        ("", 5, "my.txt is empty"),
        (
            "x" * 59,
            5,
            "has 59 characters, too few for sequences of 5: 60 are needed, .*; --seq 4 would do",
        ),
        ("x" * 12, 5, "has 12 characters, .*; 20 are the least for any"),
    ],
)
def test_texts_that_are_too_short(text, sequence, message):
    with pytest.raises(TrainingError, match=message):
        Corpus.of(text, "my.txt", sequence)


@given(st.text(min_size=20, max_size=300), st.integers(1, 20))
def test_the_advice_for_a_short_text_is_good(text, sequence):
    try:
        Corpus.of(text, "x", sequence)
    except TrainingError as error:
        advised = int(str(error).partition("--seq ")[2].split()[0])
        assert len(Corpus.of(text, "x", advised).held_out) > advised


def test_the_standard_library_is_a_text():
    text = standard_library(20_000)
    assert len(text) == 20_000
    assert "import" in text


# Vocabulary


@given(st.text(min_size=1))
def test_numbers_and_back(text):
    vocabulary = Vocabulary.of(text)
    numbers = vocabulary.encode(text)
    assert "".join(vocabulary.characters[n] for n in numbers) == text
    assert len(vocabulary) == len(set(text))


def test_a_character_never_seen():
    with pytest.raises(TrainingError, match="the model has never seen 'x', 'y'; it knows 'abc'"):
        Vocabulary("abc").encode("abyx")


def test_one_hot():
    hot = Vocabulary("abc").one_hot(np.array([[2, 0]]), np.dtype(np.float32))
    assert (hot.tolist(), hot.dtype) == ([[[0, 0, 1], [1, 0, 0]]], np.float32)


# Entropies


def test_entropies_of_a_text_that_alternates():
    first, second, third = Corpus.of("ab" * 5000, "x", 1).entropies
    assert first == pytest.approx(math.log(2))
    assert second == pytest.approx(0, abs=1e-3)
    assert third == pytest.approx(0, abs=1e-3)


def test_entropies_by_hand():
    text = "the cat sat on the mat and the rat ran to the hat " * 3
    entropies = Corpus.of(text, "x", 1).entropies

    def block(length):
        blocks = [text[i : i + length] for i in range(len(text) - length + 1)]
        shares = [blocks.count(b) / len(blocks) for b in set(blocks)]
        return -sum(p * math.log(p) for p in shares)

    joint = [0, block(1), block(2), block(3)]
    np.testing.assert_allclose(entropies, np.diff(joint), rtol=1e-12)


# What is trained on, and what is held out


@given(st.integers(20, 300), st.integers(0, 2**31))
def test_every_character_of_a_short_text_is_trained_on_or_held_out(length, seed):
    numbers = np.random.default_rng(seed).integers(0, 5, length)
    corpus = Corpus.of("".join("abcde"[n] for n in numbers), "x", 1)
    np.testing.assert_array_equal(
        np.concatenate([corpus.training, corpus.held_out]), corpus.numbers
    )
    assert len(corpus.held_out) == length // 10


def test_a_long_text_is_held_out_in_many_places():
    corpus = Corpus.of("".join(chr(97 + i // 4000) for i in range(100_000)), "x", 10)
    assert len(corpus.training) + len(corpus.held_out) == 100_000
    assert set(corpus.held_out) == {4, 9, 14, 19, 24}


def test_streams_read_on_and_the_text_is_a_ring():
    numbers = np.arange(20)
    inputs, targets = batch(numbers, 2, 4, 0)
    assert (inputs.T.tolist(), targets.T.tolist()) == (
        [[0, 1, 2, 3], [10, 11, 12, 13]],
        [[1, 2, 3, 4], [11, 12, 13, 14]],
    )
    assert batch(numbers, 2, 4, 1)[0].T.tolist() == [[4, 5, 6, 7], [14, 15, 16, 17]]
    assert batch(numbers, 2, 4, 2)[1].T.tolist() == [[9, 10, 11, 12], [19, 0, 1, 2]]


@given(st.integers(2, 50), st.integers(1, 9), st.integers(1, 9), st.integers(0, 1000))
def test_a_target_is_the_character_after_its_input(length, streams, sequence, step):
    inputs, targets = batch(np.arange(length), streams, sequence, step)
    assert inputs.shape == targets.shape == (sequence, streams)
    np.testing.assert_array_equal((inputs + 1) % length, targets)
