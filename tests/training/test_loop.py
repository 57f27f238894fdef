"""A run: it learns, it resumes bit for bit, and Ctrl-C loses nothing."""

import os
import signal

import numpy as np
import pytest
from tables import rows

import tinygrad_rnn as tg
from tinygrad_rnn.errors import CheckpointError, TrainingError
from tinygrad_rnn.training.data import Corpus
from tinygrad_rnn.training.loop import Run, Saved, Settings, interruptible, train
from tinygrad_rnn.training.sampling import sample

TEXT = "the quick brown fox jumps over the lazy dog and the dog says hello to the fox. " * 40
SMALL = Settings(hidden=16, seq=12, batch=4, lr=1e-2)


class Silent:
    """A reporter that only remembers."""

    def __init__(self, on_step=None):
        self.steps, self.validations, self.on_step = [], [], on_step

    def stepped(self, step):
        self.steps.append(step)
        if self.on_step:
            self.on_step(step)

    def validated(self, number, loss, text):
        self.validations.append((number, loss, text))


def corpus(text=TEXT):
    return Corpus.of(text, "fox.txt", SMALL.seq)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "fox.safetensors"


def test_it_learns():
    run = Run(corpus(), Settings(hidden=32, seq=16, batch=8, lr=1e-2))
    before = run.validate()
    losses = [run.step().loss for _ in range(120)]
    _, bigram, _ = run.corpus.entropies
    assert losses[0] == pytest.approx(np.log(len(run.corpus.vocabulary)), abs=0.2)
    assert run.validate() < bigram < before


def everything(run):
    state = run.optimizer.state_dict()["state"]
    arrays = [*run.model.state_dict().values(), *(one[key] for one in state for key in sorted(one))]
    parts = run.state if isinstance(run.state, tuple) else (run.state,)
    return [np.asarray(value) for value in (*arrays, *(part.data for part in parts))]


@pytest.mark.parametrize("cell", rows(["rnn", "lstm", "gru"], ["lstm"]))
def test_a_resumed_run_is_bit_for_bit_the_one_that_was_not_interrupted(cell, path):
    settings = Settings(cell=cell, layers=2, hidden=8, seq=12, batch=4, dropout=0.3, seed=3)
    whole = Run(corpus(), settings)
    for _ in range(9):
        whole.step()
    part = Run(corpus(), settings)
    for _ in range(4):
        part.step()
    part.save(path)
    resumed = Run.resume(Saved.load(path), corpus())
    assert (resumed.step_number, resumed.settings) == (4, settings)
    for _ in range(5):
        resumed.step()
    for a, b in zip(everything(whole), everything(resumed), strict=True):
        np.testing.assert_array_equal(a, b)


def test_looking_changes_nothing():
    quiet, watched = Run(corpus(), SMALL), Run(corpus(), SMALL)
    for _ in range(3):
        quiet.step()
        watched.step()
        watched.validate()
        list(sample(watched.model, watched.corpus.vocabulary, prime="the", length=5))
    for a, b in zip(everything(quiet), everything(watched), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_run_that_has_made_no_step_can_be_saved(path):
    Run(corpus(), SMALL).save(path)
    resumed = Run.resume(Saved.load(path), corpus())
    assert (resumed.step_number, resumed.state) == (0, None)
    resumed.step()


def test_another_text_is_another_run(path):
    Run(corpus(), SMALL).save(path)
    with pytest.raises(
        TrainingError, match=r"fox\.txt is not the text this model was trained on so far"
    ):
        Run.resume(Saved.load(path), corpus(TEXT + "!"))


def test_an_explosion_is_told():
    run = Run(corpus(), SMALL)
    run.model.W_hy.data = np.full(run.model.W_hy.shape, np.inf, np.float32)
    with pytest.raises(TrainingError, match=r"step 0: the loss is nan .*try a smaller --lr"):
        run.step()


# Stopping


def test_steps_count_from_the_start_of_the_first_run(path):
    reporter = Silent()
    assert train(Run(corpus(), SMALL), path, reporter, steps=3) is False
    assert [step.number for step in reporter.steps] == [1, 2, 3]
    assert [number for number, _, _ in reporter.validations] == [3]
    resumed = Run.resume(Saved.load(path), corpus())
    train(resumed, path, reporter, steps=5)
    assert Saved.load(path).step == 5


def test_seconds(path):
    now = iter(range(1000))
    reporter = Silent()
    train(Run(corpus(), SMALL), path, reporter, seconds=20, clock=lambda: float(next(now)))
    assert 3 <= len(reporter.steps) <= 20
    assert len(reporter.validations) >= 3


def test_a_long_run_is_saved_now_and_then(path):
    seconds = iter(range(0, 100_000, 50))
    seen = []
    reporter = Silent(on_step=lambda step: seen.append(Saved.load(path).step))
    train(Run(corpus(), SMALL), path, reporter, steps=6, clock=lambda: float(next(seconds)))
    assert seen == sorted(seen)
    assert max(seen) > 0


def test_ctrl_c_between_steps_saves(path):
    interrupt = lambda step: os.kill(os.getpid(), signal.SIGINT) if step.number == 2 else None
    handler = signal.getsignal(signal.SIGINT)
    assert train(Run(corpus(), SMALL), path, Silent(on_step=interrupt), steps=50) is True
    assert Saved.load(path).step == 2
    assert signal.getsignal(signal.SIGINT) is handler


def test_a_second_ctrl_c_interrupts_at_once():
    with interruptible() as interrupted:
        os.kill(os.getpid(), signal.SIGINT)
        assert interrupted()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_a_path_that_cannot_be_written_is_known_before_the_first_step(tmp_path):
    reporter = Silent()
    with pytest.raises(CheckpointError, match="No such file or directory"):
        train(Run(corpus(), SMALL), tmp_path / "no" / "folder", reporter, steps=3)
    assert reporter.steps == []


# Checkpoints of other things


@pytest.mark.parametrize(
    "model",
    [tg.nn.Linear(2, 2), tg.nn.RNN(2, 2), tg.nn.RNN(2, 3, output_size=2)],
)
def test_a_checkpoint_of_another_model(path, model):
    metadata = {
        "vocabulary": "abc",
        "rng": {},
        "state": np.zeros(0),
        "step": 0,
        "settings": {},
        "text": {},
    }
    tg.save(path, model, tg.optim.Adam(model.parameters()), **metadata)
    with pytest.raises(
        CheckpointError, match="is a checkpoint, but not of a model that `tinygrad-rnn train` made"
    ):
        Saved.load(path)
    tg.save(path, model)
    with pytest.raises(CheckpointError, match=r"not of a model .*KeyError: 'vocabulary'"):
        Saved.load(path)
