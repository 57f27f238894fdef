"""The frame: runs are kept, resumed, run by anyone, and come out the same."""

import json

import pytest

from tinygrad_rnn.errors import StudyError
from tinygrad_rnn.studies import STUDIES, conduct, read
from tinygrad_rnn.studies.rtrl import Rtrl
from tinygrad_rnn.studies.vanish import Vanish


class Counted(Vanish):
    """Remembers what it was asked to run, and stops when told to."""

    digest = Vanish().digest  # else that of this file

    def __init__(self, stop_after=None):
        self.ran, self.stop_after = [], stop_after

    def run(self, seed, **settings):
        if len(self.ran) == self.stop_after:
            raise KeyboardInterrupt
        self.ran.append((seed, settings))
        return super().run(seed, **settings)


def run(study, path=None, seeds=2, backend="sequential", **options):
    return conduct(study, seeds=seeds, path=path, backend=backend, **options)


def measured(findings):
    return [(record.seed, record.settings, record.measured) for record in findings.records]


@pytest.fixture(scope="module")
def expected():
    return measured(run(Vanish()))


def test_what_is_written_is_read_again(tmp_path):
    findings = run(Vanish(), tmp_path / "vanish.json")
    assert sorted(map(repr, read(Vanish(), tmp_path / "vanish.json"))) == sorted(
        map(repr, findings.records)
    )
    content = json.loads((tmp_path / "vanish.json").read_text("utf-8"))
    assert content["study"] == "vanish"
    assert content["question"].endswith("?")
    assert [row["claim"] for row in content["table"]] == [row.claim for row in findings.rows]
    assert set(content["table"][0]) == {"claim", "reference", "measured", "seed", "holds"}


def test_an_interrupted_study_keeps_what_it_has_and_goes_on(tmp_path, expected):
    path = tmp_path / "vanish.json"
    stopped, resumed = Counted(stop_after=5), Counted()
    with pytest.raises(KeyboardInterrupt):
        run(stopped, path)
    assert len(read(Vanish(), path)) == 5
    findings = run(resumed, path)
    assert len(findings.records) == 16
    assert [task for task in resumed.ran if task in stopped.ran] == []
    assert len(resumed.ran) == 11
    assert measured(findings) == expected


def test_a_study_that_is_done_runs_nothing_and_forgets_nothing(tmp_path):
    path, again, more = tmp_path / "vanish.json", Counted(), Counted()
    run(Vanish(), path, seeds=2)
    run(again, path, seeds=1)
    assert again.ran == []
    run(more, path, seeds=3)
    assert {seed for seed, _ in more.ran} == {2}


def test_runs_of_another_version_of_the_study_are_not_taken_up(tmp_path, monkeypatch):
    path, again = tmp_path / "vanish.json", Counted()
    run(Vanish(), path, seeds=1)
    monkeypatch.setattr(Counted, "digest", "of another version")
    run(again, path, seeds=1)
    assert len(again.ran) == 8


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no JSON",
        b"[]",
        b"{}",
        b'{"format": 99, "study": "vanish"}',
        b"\xff",
        b'{"format": 1}',
    ],
)
def test_another_file_is_refused_and_left_alone(tmp_path, content):
    path = tmp_path / "vanish.json"
    path.write_bytes(content)
    with pytest.raises(StudyError, match=r"vanish\.json does not hold runs of the study vanish"):
        run(Vanish(), path)
    assert path.read_bytes() == content


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    path = tmp_path_factory.mktemp("kept") / "vanish.json"
    run(Vanish(), path, seeds=1)
    return path.read_text("utf-8")


@pytest.mark.parametrize(
    "change",
    [
        lambda run: run.update(seed="0"),
        lambda run: run.update(seed=-1),
        lambda run: run.update(seconds=float("inf")),
        lambda run: run.update(settings=[]),
        lambda run: run["measured"].update(slope="steep"),
        lambda run: run["measured"].update(slope=float("nan")),
        lambda run: run["measured"].update(norms=[1.0]),
        lambda run: run["measured"].clear(),
        lambda run: run.update(more=1),
    ],
)
def test_kept_runs_that_no_run_can_have_been(tmp_path, kept, change):
    path, study = tmp_path / "vanish.json", Counted()
    content = json.loads(kept)
    change(content["runs"][0])
    path.write_text(json.dumps(content), "utf-8")
    with pytest.raises(StudyError, match=r"vanish\.json does not hold runs of the study vanish"):
        run(study, path, seeds=1)
    assert study.ran == []


def test_a_study_does_not_take_up_another_one_s_runs(tmp_path, kept):
    (tmp_path / "x.json").write_text(kept, "utf-8")
    with pytest.raises(StudyError, match="it is of vanish"):
        run(Rtrl(), tmp_path / "x.json", seeds=1)


def test_a_path_that_cannot_be_written_is_known_before_the_first_run(tmp_path):
    study = Counted()
    with pytest.raises(OSError, match="No such file"):
        run(study, tmp_path / "nowhere" / "vanish.json")
    assert study.ran == []


@pytest.mark.parametrize(
    "backend", ["loky", "threading", pytest.param("dask", marks=pytest.mark.rest)]
)
def test_whoever_runs_it_the_numbers_are_the_same(backend, expected):
    assert measured(run(Vanish(), backend=backend, jobs=2)) == expected


def test_a_backend_that_is_not_installed_is_one_line(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "distributed", None)
    with pytest.raises(StudyError, match="backend 'dask' needs distributed"):
        run(Vanish(), backend="dask", jobs=2)


def test_a_person_s_own_backend_is_taken():
    from joblib import parallel_config

    with parallel_config("threading"):
        assert len(conduct(Vanish(), jobs=2).records) == 8


@pytest.mark.parametrize("study", STUDIES.values(), ids=STUDIES)
def test_every_study_asks_and_names_its_source(study):
    assert study.question.endswith("?")
    assert study.__doc__
    assert any(character.isdecimal() for character in study.source)
    settings = study().runs(full=True)
    assert len(settings) >= len(study().runs(full=False)) >= 1
    assert json.loads(json.dumps(settings)) == settings
