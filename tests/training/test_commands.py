"""`tinygrad-rnn train` and `tinygrad-rnn sample`, as they are typed."""

import copy
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import asdict

import pytest
from click.testing import CliRunner
from tables import one_in

from tinygrad_rnn.cli import cli
from tinygrad_rnn.nn.checkpoint import ARCHIVE
from tinygrad_rnn.training.loop import Saved, Settings

TEXT = "the quick brown fox jumps over the lazy dog.\n" * 30
SMALL = ["--hidden", "8", "--seq", "10", "--batch", "2"]


@pytest.fixture(autouse=True)
def fox(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fox.txt").write_text(TEXT)
    return tmp_path


def run(*arguments, code=0, **options):
    done = CliRunner().invoke(cli, list(map(str, arguments)), **options)
    assert done.exit_code == code, (done.output, done.exception)
    return done.output


def test_train_and_sample(fox):
    said = run("train", "fox.txt", *SMALL, "--steps", 3)
    assert "RNN, 1 layer of 8 units" in said
    assert said.splitlines()[-3:] == [
        "Saved after 3 steps: fox.safetensors",
        "Go on:  tinygrad-rnn train --resume fox.safetensors",
        "Listen: tinygrad-rnn sample fox.safetensors",
    ]
    assert sorted(os.listdir(fox)) == ["fox.safetensors", "fox.txt"]
    said = run("sample", "fox.safetensors", "--length", 20, "--seed", 1)
    assert len(said) == 21
    assert said == run("sample", "fox.safetensors", "--length", 20, "--seed", 1)
    assert run("sample", "fox.safetensors", "--length", 5, "--prime", "the ").startswith("the ")


def test_resuming_is_going_on():
    options = ["fox.txt", *SMALL, "--cell", "lstm", "--layers", 2, "--dropout", 0.2, "--clip", 1]
    options += ["--lr", 0.01, "--seed", 5]
    run("train", *options, "--steps", 5, "-o", "whole")
    run("train", *options, "--steps", 2, "-o", "part")
    run("train", "--resume", "part", "--steps", 5)
    a, b = Saved.load("whole"), Saved.load("part")
    assert a.settings == b.settings == Settings("lstm", 2, 8, 0.2, 10, 2, 0.01, 1.0, 5)
    for x, y in zip(a.model.parameters(), b.model.parameters(), strict=True):
        assert x.data.tobytes() == y.data.tobytes()


def test_the_standard_library_is_the_default_text():
    said = run("train", "--steps", 1, *SMALL)
    assert "on the standard library's source: 1,000,000 characters" in said
    run("train", "--resume", "stdlib.safetensors", "--steps", 2)
    assert Saved.load("stdlib.safetensors").step == 2


def test_text_from_stdin():
    assert "stdin.safetensors" in run("train", "-", *SMALL, "--steps", 1, input=TEXT)


def test_an_encoding_is_remembered(fox):
    (fox / "old.txt").write_bytes("é".join([TEXT] * 2).encode("latin-1"))
    run("train", "old.txt", *SMALL, "--steps", 1, "--encoding", "latin-1")
    run("train", "--resume", "old.safetensors", "--steps", 2)


def test_names_are_quoted_for_the_shell(fox):
    (fox / "my fox.txt").write_text(TEXT)
    assert "--resume 'my fox.safetensors'" in run("train", "my fox.txt", *SMALL, "--steps", 1)


@pytest.mark.parametrize(
    ("content", "arguments", "message"),
    [
        (None, ["missing.txt"], "Error: missing.txt: No such file or directory"),
        (None, ["."], "Error: .: Is a directory"),
        (b"", ["x.txt"], "Error: x.txt is empty; a character model needs something to read"),
        (b"short", ["x.txt"], "Error: x.txt has 5 characters, too few for sequences of 48"),
        (b"a\0b", ["x.txt"], "Error: x.txt is a binary file (character 1 is 0); give a text"),
        (b"caf\xe9", ["x.txt"], "Error: x.txt is not utf-8: byte 3 is 0xe9"),
        (
            None,
            ["fox.txt", "-o", "no/folder/x"],
            "Error: save: no/folder/x: No such file or directory",
        ),
        (
            None,
            ["fox.txt", "--resume", "fox.txt"],
            "Error: load: fox.txt is not a safetensors file",
        ),
        (None, ["--resume", "missing"], "Error: load: missing: No such file or directory"),
        (None, ["fox.txt", "--cell", "cnn"], "'cnn' is not one of"),
        (None, ["fox.txt", "--hidden", "0"], "0 is not in the range"),
    ],
)
def test_bad_input_is_one_clear_line(fox, content, arguments, message):
    if content is not None:
        (fox / "x.txt").write_bytes(content)
    said = run("train", *arguments, "--steps", 1, code=2)
    assert message in said
    assert "Traceback" not in said


def test_a_checkpoint_is_not_overwritten_by_another_run():
    run("train", "fox.txt", *SMALL, "--steps", 1)
    assert "fox.safetensors exists already: resume it, --resume fox.safetensors" in run(
        "train", "fox.txt", *SMALL, "--steps", 1, code=2
    )


def test_what_a_resumed_run_was_begun_with_stays():
    run("train", "fox.txt", *SMALL, "--steps", 1)
    said = run("train", "--resume", "fox.safetensors", "--hidden", 16, "--lr", 1, code=2)
    kept = "keeps the settings that fox.safetensors was begun with, --hidden 8; only --lr, --clip"
    assert kept in said


def test_how_a_resumed_run_learns_may_change():
    run("train", "fox.txt", *SMALL, "--steps", 1)
    run("train", "--resume", "fox.safetensors", "--lr", 0.5, "--clip", 2, "--steps", 2)
    saved = Saved.load("fox.safetensors")
    assert (saved.step, saved.settings.lr, saved.settings.clip) == (2, 0.5, 2)
    assert saved.optimizer.param_groups[0]["lr"] == 0.5


def test_settings_that_do_nothing_are_told():
    assert "nothing would be learned" in run("train", "fox.txt", *SMALL, "--clip", 0, code=2)
    assert "nothing would be learned" in run("train", "fox.txt", *SMALL, "--lr", 0, code=2)
    said = run("train", "fox.txt", *SMALL, "--dropout", 0.5, "--steps", 1)
    assert "--dropout 0.5 does nothing: it hides units from the layer above" in said


@pytest.mark.parametrize("temperature", ["-1", "nan", "inf", "hot"])
def test_a_temperature_that_is_none_is_told_the_range(temperature):
    run("train", "fox.txt", *SMALL, "--steps", 1)
    said = run("sample", "fox.safetensors", "--temperature", temperature, code=2)
    assert re.search(r"x>=0|in the range 0 or more", said)


def test_neurons():
    run("train", "fox.txt", *SMALL, "--steps", 1)
    one = run("sample", "fox.safetensors", "--length", 10, "--neuron", 3, "--prime", "the")
    assert one.splitlines()[1] == "unit 3"
    assert one.splitlines()[2].startswith("the")
    every = run("sample", "fox.safetensors", "--length", 10, "--neuron", "all")
    assert [line for line in every.splitlines() if line.startswith("unit")] == [
        f"unit {n}" for n in range(8)
    ]
    for bad in ("8", "-1", "some"):
        said = run("sample", "fox.safetensors", f"--neuron={bad}", code=2)
        assert f"""--neuron must be "all" or a unit of the last layer, 0..7, not '{bad}'""" in said


def test_the_help_tells_the_true_defaults():
    said = " ".join(run("train", "--help").split())
    for name, value in asdict(Settings()).items():
        _, _, rest = said.partition(f"--{name} ")
        shown = rest.partition("[default: (")[2].partition(")")[0]
        assert shown == (f"{value:g}" if isinstance(value, float) else str(value)), name


@pytest.mark.skipif(os.name != "posix", reason="sends signals")
@pytest.mark.parametrize("name", one_in(3, ["SIGTERM", "SIGINT", "SIGHUP"]))
def test_a_signal_saves_and_says_how_to_go_on(fox, name):
    asked = getattr(signal, name)
    command = [sys.executable, "-m", "tinygrad_rnn", "train", "fox.txt", *SMALL, "--seconds", "60"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        while not (fox / "fox.safetensors").exists():
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.05)
        time.sleep(0.3)
        process.send_signal(asked)
        said, complained = process.communicate(timeout=30)
    assert (process.returncode, complained) == (128 + asked, "")
    assert "Interrupted. Saved after" in said
    assert "tinygrad-rnn train --resume fox.safetensors" in said
    assert Saved.load("fox.safetensors").step > 0


LIES = [
    ("settings", "hidden", 12000),
    ("settings", "layers", 2),
    ("settings", "cell", []),
    ("settings", "cell", "lstm"),
    ("settings", "seq", "x"),
    ("settings", "seq", 10**6),
    ("settings", "batch", 10**9),
    ("settings", "batch", True),
    ("settings", "clip", "x"),
    ("settings", "lr", -1.0),
    ("settings", "lr", float("nan")),
    ("settings", "seed", -1),
    ("settings", "more", 1),
    ("rng", "has_uint32", 2**40),
    ("rng", "bit_generator", "MT19937"),
    ("text", "name", 5),
    ("text", "encoding", "x" * 10_000),
    (None, "step", 10**30),
    (None, "step", 1.5),
    (None, "vocabulary", ["a"]),
    (None, "vocabulary", "aa"),
    (None, "settings", 3),
    (None, "rng", None),
]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    (folder / "fox.txt").write_text(TEXT)
    made = folder / "good.safetensors"
    run("train", folder / "fox.txt", *SMALL, "--steps", 1, "-o", made)
    return ARCHIVE.decode("good", made.read_bytes())


@pytest.mark.parametrize(("part", "key", "lie"), LIES, ids=str)
def test_a_checkpoint_that_lies_of_itself_is_refused_before_anything_is_built(
    fox, trained, part, key, lie
):
    description, arrays = copy.deepcopy(trained[0]), trained[1]
    inner = description["metadata"]
    (inner[part] if part else inner)[key] = lie
    (fox / "lie").write_bytes(ARCHIVE.encode(description, arrays))
    for words in (["train", "--resume", "lie", "--steps", 2], ["sample", "lie", "--length", 2]):
        said = run(*words, code=2)
        assert said.startswith("Error: load: lie is")
        assert len(said.splitlines()) == 1


@pytest.mark.skipif(os.name != "posix", reason="makes pipes")
def test_texts_and_checkpoints_are_regular_files(fox):
    os.mkfifo(fox / "pipe")
    assert "pipe: Not a regular file" in run("train", "pipe", code=2)
    assert "pipe is not a regular file" in run("train", "--resume", "pipe", code=2)
    assert "pipe is a pipe" in run("train", "fox.txt", "-o", "pipe", code=2)
    assert "pipe: Not a regular file" in run("draw", "--text-file", "pipe", code=2)
    assert "pipe: Not a regular file" in run("draw", "pipe", "-o", "x.svg", code=2)
    assert "pipe: Not a regular file" in run("debug", "--commands", "pipe", code=2)
