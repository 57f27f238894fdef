"""Whole models of PyTorch's, from files as `safetensors.torch.save_file` writes them."""

import numpy as np
import pytest
from safetensors.numpy import save_file

import tinygrad_rnn as tg
from tinygrad_rnn.errors import CheckpointError, StateDictError


class Tagger(tg.nn.Module):
    def __init__(self, rng):
        self.embedding = tg.nn.Embedding(5, 3, rng=rng)
        self.encoder = tg.nn.Module()
        self.encoder.rnn = tg.nn.GRU(3, 4, bidirectional=True, rng=rng)
        self.lstm = tg.nn.LSTM(8, 2, num_layers=2, rng=rng)
        self.norm = tg.nn.LayerNorm(2)
        self.head = tg.nn.Linear(2, 6, rng=rng)


def torch_state(model, prefix=""):
    """As torch names and holds the same parameters."""
    state = {"embedding.weight": model.embedding.weight.data}
    for name, layer in (("encoder.rnn", model.encoder.rnn), ("lstm", model.lstm)):
        parts = layer.to_torch_state_dict().items()
        state |= {f"{name}.{theirs}": array for theirs, array in parts}
    for name, layer in (("norm", model.norm), ("head", model.head)):
        state |= {f"{name}.weight": layer.weight.data, f"{name}.bias": layer.bias.data}
    return {f"{prefix}{name}": np.array(array, np.float32) for name, array in state.items()}


@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_whole_model_is_taken(prefix, tmp_path):
    theirs, ours = Tagger(0), Tagger(1)
    save_file(torch_state(theirs, prefix), tmp_path / "m.safetensors")
    taken = tg.nn.load_torch(tmp_path / "m.safetensors", ours, prefix=prefix)
    assert (taken.missing, taken.unexpected) == ((), ())
    for name, part in theirs.named_tensors():
        held = dict(ours.named_tensors())[name].data
        np.testing.assert_allclose(held, part.data, rtol=1e-6, atol=1e-7)
        assert held.dtype == np.float64


def test_what_is_missing_and_unexpected_is_said_and_nothing_changes(tmp_path):
    ours = Tagger(1)
    before = ours.state_dict()
    state = torch_state(Tagger(0), "module.")
    del state["module.head.bias"]
    state["step"] = np.zeros(1, np.float32)
    path = tmp_path / "m.safetensors"
    save_file(state, path)
    with pytest.raises(StateDictError, match=r'begin with "module.": give it as prefix'):
        tg.nn.load_torch(path, ours)
    with pytest.raises(StateDictError, match=r"missing head.bias; unexpected step"):
        tg.nn.load_torch(path, ours, prefix="module.")
    assert all(np.array_equal(before[name], array) for name, array in ours.state_dict().items())
    taken = tg.nn.load_torch(path, ours, prefix="module.", strict=False)
    assert (taken.missing, taken.unexpected) == (("head.bias",), ("step",))
    assert np.array_equal(ours.head.bias.data, before["head.bias"])
    assert not np.array_equal(ours.head.weight.data, before["head.weight"])


def test_a_shape_that_differs_changes_nothing(tmp_path):
    ours = Tagger(1)
    before = ours.state_dict()
    state = torch_state(Tagger(0))
    state["lstm.weight_hh_l1"] = np.zeros((8, 3), np.float32)
    save_file(state, tmp_path / "m.safetensors")
    with pytest.raises(StateDictError, match=r"'lstm.weight_hh_l1' has shape \(8, 3\)"):
        tg.nn.load_torch(tmp_path / "m.safetensors", ours)
    assert all(np.array_equal(before[name], array) for name, array in ours.state_dict().items())


def test_another_file_is_refused(tmp_path):
    (tmp_path / "m.safetensors").write_bytes(b"\x80\x04pickled")
    with pytest.raises(CheckpointError, match=r"load_torch: .* is not a safetensors file"):
        tg.nn.load_torch(tmp_path / "m.safetensors", Tagger(1))
    with pytest.raises(CheckpointError, match="No such file"):
        tg.nn.load_torch(tmp_path / "none.safetensors", Tagger(1))
