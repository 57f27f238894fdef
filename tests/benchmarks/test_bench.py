"""That the contenders take the same step, and what the command makes of a run."""

import json
import subprocess

import numpy as np
import pytest
from click.testing import CliRunner
from tables import rows

from tinygrad_rnn.benchmarks import (
    conduct,
    every_op,
    forms,
    jobs,
    layers,
    ours,
    per_op,
    problem,
    tables,
    targets,
)
from tinygrad_rnn.benchmarks.by_hand import TimeBatchedRNN, min_char_rnn
from tinygrad_rnn.benchmarks.by_hand_gated import TimeBatchedGRU, TimeBatchedLSTM
from tinygrad_rnn.benchmarks.contenders import (
    BY_HAND,
    COMPILED,
    JAX,
    LOOP,
    MIN_CHAR_RNN,
    require_agreement,
)
from tinygrad_rnn.cli import cli
from tinygrad_rnn.errors import BenchmarkError

SIZES = [(1, 1), (1, 3), (5, 1), (5, 3)]
OWN = {
    "rnn": [TimeBatchedRNN, min_char_rnn, ours.eager_loop, ours.eager_layer, ours.compiled],
    "lstm": [TimeBatchedLSTM, ours.eager_layer, ours.compiled],
    "gru": [TimeBatchedGRU, ours.eager_layer, ours.compiled],
}


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    return lambda *words: CliRunner().invoke(cli, ["bench", *words])


@pytest.mark.parametrize(("T", "B"), rows(SIZES, [(1, 1), (5, 3)]))
@pytest.mark.parametrize("dtype", rows(["float64", "float32"], ["float64"]))
@pytest.mark.parametrize("cell", OWN)
def test_by_hand_eager_and_compiled_take_the_same_step(cell, dtype, T, B):
    given = problem.Problem(problem.Size("small", 7, T, B), dtype, cell)
    require_agreement({make.__name__: make(given) for make in OWN[cell]}, dtype)


def test_every_op_of_numbers_is_measured():
    names = {case.name for case in every_op.cases()}
    assert {"neg", "tanh", "pow", "cross_entropy", "erfc"} <= names
    assert {"equal", "logical_and"}.isdisjoint(names)  # not differentiable


@pytest.mark.parametrize("cell", rows(list(forms.REFERENCES), ["mingru"]))
def test_all_forms_of_a_step_take_the_same_one(cell):
    """By hand, compiled and eager; in every one that is compiled all products are of rows."""
    given = problem.Problem(problem.Size("small", 7, 4, 2), "float64", cell)
    steps = forms.contenders(given)
    assert len(steps) == 1 + 2 * sum(form.cell == cell for form in forms.FORMS)


def test_a_form_that_takes_another_step_is_not_timed(monkeypatch):
    other = forms.Form("other", "mingru", lambda *given: 2 * forms.mingru(*given))
    monkeypatch.setattr(forms, "FORMS", [other])
    with pytest.raises(BenchmarkError, match="mingru: other: the loss or a gradient is"):
        forms.contenders(problem.Problem(problem.SIZES["tiny"], "float64", "mingru"))


def test_the_forms_make_a_table_and_promises():
    form = forms.FORMS[0]
    times = {name: [1.0] for f in forms.FORMS for name in (f.name, f.name + forms.EAGER)}
    found = measured("forms", seconds={forms.BY_HAND: [1.0], **times})
    (table,) = [t for t in tables.tables([found]) if "Forms" in str(t.title)]
    assert [*table.columns[0].cells] == [f.name for f in forms.FORMS]
    assert {v.measured for v in targets.verdicts([found])} == {1.0}
    assert form.name in next(iter(targets.verdicts([found]))).claim


def test_a_step_can_be_taken_again_with_other_weights():
    """What is kept between steps, the transposed matrix and the scaled one, follows the weights."""
    for cell, (by_hand, *_) in OWN.items():
        given = problem.Problem(problem.SIZES["tiny"], "float64", cell)
        step = by_hand(given)
        step()
        for W in given.weights.values():
            W *= 0.5
        require_agreement({"kept": step, "new": by_hand(given)}, "float64")


@pytest.mark.parametrize("wrong", range(4))
def test_whoever_comes_to_another_gradient_is_named_and_not_timed(wrong):
    step = TimeBatchedRNN(problem.Problem(problem.SIZES["tiny"], "float64"))

    def other():
        found = [np.array(value) for value in step()]
        found[wrong] = found[wrong] + 1e-6
        return found

    name = ("the loss", "W_xh", "W_hh", "W_hy")[wrong]
    with pytest.raises(BenchmarkError, match=f"{name} by other .* away from that by first"):
        require_agreement({"first": step, "other": other}, "float64")


def test_a_gradient_of_another_dtype_is_not_the_same():
    step = TimeBatchedRNN(problem.Problem(problem.SIZES["tiny"], "float64"))
    with pytest.raises(BenchmarkError, match="float32"):
        require_agreement(
            {"first": step, "other": lambda: [np.float32(value) for value in step()]}, "float64"
        )


def test_chains_by_hand_and_recorded_have_one_gradient():
    found = {
        op: {name: runs[name] for name in (per_op.BY_HAND, per_op.OURS)}
        for op, runs in per_op.chains().items()
    }
    per_op.require_agreement(found, 10)
    found["mul"]["twice"] = lambda x, length: 2 * found["mul"][per_op.BY_HAND](x, length)
    with pytest.raises(BenchmarkError, match=r"(?s)10 times mul .* by twice"):
        per_op.require_agreement(found, 10)


@pytest.mark.rest
def test_the_command_measures_in_a_process_of_its_own(run, tmp_path):
    result = run("--part", "ops", "--size", "tiny", "--dtype", "float32", "--json", "bench.json")
    assert result.exit_code == 0, result.output
    assert "Chains of 10 ops" in result.stdout
    measured, _ = json.loads((tmp_path / "bench.json").read_text())["measured"]
    assert measured["kind"] == "ops"


@pytest.mark.rest  # it starts nine processes
def test_the_command_measures_every_part_and_keeps_every_time(run, tmp_path):
    """Each contender that is installed is compared with the first, in the command's processes."""
    parts = [word for part in conduct.PARTS if part != "forms" for word in ("--part", part)]
    result = run(*parts, "--size", "tiny", "--dtype", "float32", "--json", "bench.json")
    assert result.exit_code == 0, result.output  # tiny makes no promises
    for title in (
        "RNN:",
        "LSTM:",
        "GRU:",
        "Growth:",
        "Memory:",
        "Chains of 10 ops",
        "Every op",
        "Layers",
    ):
        assert title in result.stdout
    kept = json.loads((tmp_path / "bench.json").read_text())
    assert [measured["kind"] for measured in kept["measured"]] == (
        ["step"] * 3 + ["growth"] * 3 + ["memory"] * 2 + ["ops", "every op", "layers"]
    )
    step = kept["measured"][0]["seconds"]
    assert {BY_HAND, COMPILED, LOOP, MIN_CHAR_RNN} <= set(step)
    assert all(len(times) == 2 and min(times) > 0 for times in step.values())
    assert kept["machine"]["packages"]["numpy"] == np.__version__


def test_markdown(run, monkeypatch):
    """A header in one line, one rule below it, and rows of as many cells."""
    found = measured("step", seconds={BY_HAND: [1.0], COMPILED: [1.2]})
    monkeypatch.setattr("tinygrad_rnn.benchmarks.commands.run", lambda job, tick: found)
    result = run("--part", "step", "--size", "karpathy", "--dtype", "float64", "--markdown")
    step, promises = (
        [line for line in part.splitlines() if line.startswith("|")]
        for part in result.stdout.split("Promises")
    )
    for lines, count in ((step, 3), (promises, 1)):
        assert len(lines) == 2 + count
        assert {line.count("|") for line in lines} == {3}
        assert set(lines[1]) == {"|", "-"}
        assert "karpathy float64" in lines[0]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--part", "gates", "--size", "large"), "nothing to measure of gates at large"),
        (("--size", "huge"), "huge"),
        (("--part", "ops", "--size", "tiny", "--json", "none/bench.json"), "none/bench.json"),
    ],
)
def test_what_cannot_be_measured_or_kept_is_said_in_one_line(run, words, said):
    result = run(*words)
    assert result.exit_code == 2
    assert said in result.stderr.strip().splitlines()[-1]


def test_a_process_that_dies_is_reported():
    with pytest.raises(BenchmarkError, match=r"tiny.* ended with 1: TypeError: .*float99"):
        conduct.run(jobs.Job("step", problem.SIZES["tiny"], "float99", 1), lambda: None)


def test_ctrl_c_ends_the_process_that_measures(monkeypatch):
    started = []

    class Process(subprocess.Popen):
        def __init__(self, *args, **options):
            super().__init__(*args, **options)
            started.append(self)

    def interrupt():
        raise KeyboardInterrupt

    monkeypatch.setattr(conduct.subprocess, "Popen", Process)
    with pytest.raises(KeyboardInterrupt):
        conduct.run(
            jobs.Job("memory", problem.SIZES["tiny"], "float64", 10**6, contender=BY_HAND),
            interrupt,
        )
    assert [process.poll() is None for process in started] == [False]


# What a run comes to


def measured(kind, size="karpathy", dtype="float64", **result):
    fields = {name: result.pop(name) for name in ("cell", "contender") if name in result}
    at = problem.SIZES[size]
    at = problem.Size(size, at.H, result.pop("T", at.T), at.B)
    return conduct.Measured(jobs.Job(kind, at, dtype, 1, **fields), result)


def test_promises_of_a_step():
    found = [
        measured(
            "step", seconds={BY_HAND: [1.0, 9.0, 1.0], COMPILED: [1.05], JAX: [1.3], LOOP: [2.0]}
        )
    ]
    judged = {verdict.claim: verdict.met for verdict in targets.verdicts(found)}
    assert judged == {f"RNN: compiled ÷ {BY_HAND}": True, f"RNN: compiled ÷ {JAX}": False}


@pytest.mark.parametrize(("dtype", "met"), [("float64", False), ("float32", True)])
def test_a_promise_may_differ_by_dtype(dtype, met):
    found = [
        measured(
            "step",
            "medium",
            dtype,
            seconds={BY_HAND: [1.0], LOOP: [1.3], "PyTorch loop": [1.0], COMPILED: [1.0]},
        )
    ]
    assert [v.met for v in targets.verdicts(found) if "eager loop" in v.claim] == [met]


@pytest.mark.parametrize(("power", "met"), [(1.0, True), (1.2, False)])
def test_promises_of_growth(power, met):
    lengths = (25, 100, 400, 1600, 3200)
    found = [
        measured(
            "growth",
            T=T,
            seconds={BY_HAND: [T], COMPILED: [T**power], LOOP: [T**power]},
            compiling=[90 * T**power],
        )
        for T in lengths
    ]
    judged = targets.verdicts(found)
    assert [verdict.met for verdict in judged] == [True] * 5 + [met] * 3
    assert [verdict.measured for verdict in judged[5:]] == pytest.approx([power] * 3)


def test_promises_of_memory_and_of_an_op():
    found = [
        measured("memory", "large", contender=BY_HAND, first=100, later=100),
        measured("memory", "large", contender=COMPILED, first=160, later=140),
        measured(
            "ops", seconds={"add": {per_op.BY_HAND: [1.0], per_op.OURS: [2.0], per_op.TORCH: [2.5]}}
        ),
    ]
    assert [(verdict.measured, verdict.met) for verdict in targets.verdicts(found)] == [
        (1.6, False), (1.4, True), (pytest.approx(2 / 3), False),
    ]  # fmt: skip


def test_a_missed_promise_says_so_and_ends_with_1(run, monkeypatch):
    found = measured("step", seconds={BY_HAND: [1.0], COMPILED: [1.2]})
    monkeypatch.setattr("tinygrad_rnn.benchmarks.commands.run", lambda job, tick: found)
    result = run("--part", "step", "--size", "karpathy", "--dtype", "float64")
    assert result.exit_code == 1
    assert "1.2, at most 1.1: missed" in result.stdout


def test_quick_takes_fewer_rounds_of_the_same():
    whole = conduct.jobs(
        conduct.PARTS, ["karpathy", "medium", "large"], ["float64", "float32"], quick=False
    )
    quick = conduct.jobs(
        conduct.PARTS, ["karpathy", "medium", "large"], ["float64", "float32"], quick=True
    )
    assert [str(job) for job in whole] == [str(job) for job in quick]
    assert sum(job.rounds for job in quick) < sum(job.rounds for job in whole) / 2
    assert min(job.rounds for job in quick if job.kind == "step") == 3


def test_every_promise_has_its_cell():
    seconds = {BY_HAND: [1.0], COMPILED: [1.0]}
    found = [
        measured("step", size, dtype, seconds=seconds)
        for size in targets.MEMORY
        for dtype in ("float64", "float32")
    ]
    promises = [table for table in tables.tables(found) if table.title == "Promises"]
    assert [(len(table.columns), table.row_count) for table in promises] == [(5, 1)]


def test_promises_about_many_places_stand_below_each_other():
    shapes = [f"{kind}, {size}" for kind in ("RNN", "LSTM", "GRU") for size in ("small", "large")]
    times = {layers.EAGER: [1.0], layers.COMPILED: [0.3], layers.TORCH: [1.0]}
    found = measured("layers", seconds=dict.fromkeys(shapes, times))
    (table,) = [table for table in tables.tables([found]) if table.title == "Promises"]
    assert (len(table.columns), table.row_count) == (3, 6)
    assert list(table.columns[0].cells) == shapes
