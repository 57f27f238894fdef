"""The page of the studies: each with its question, its picture, its claims, and their counts.

Run as a script with the folder in which studies were kept, this draws the pictures and writes the
tables anew: `python tests/test_studies_page.py tinygrad-rnn-studies`.
"""

import re
import sys
from pathlib import Path

import pytest
from tables import one_in

from tinygrad_rnn.diagrams.picture.theme import LIGHT
from tinygrad_rnn.studies import STUDIES, Findings, conduct, read
from tinygrad_rnn.studies.chart import render

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "studies.md"
FIGURES = ROOT / "docs" / "figures" / "studies"
TABLE = re.compile(r"(?<=<!-- table: )([\w-]+)( -->\n)(.*?)(?=<!-- end -->)", re.DOTALL)
SPACE = "\N{NO-BREAK SPACE}"
SEEN = rf"\| (\d+){SPACE}of{SPACE}(\d+) \|\n"
HEAD = "\n| claim | held against | measured | seen for |\n|---|---|---|---|\n"


def tables():
    return {found[1]: found[3] for found in TABLE.finditer(PAGE.read_text("utf-8"))}


def cell(text):
    """A cell of Markdown, in which no line is broken after the e- of a number."""
    return re.sub(r"(?<=\de)-(?=\d)", "\N{NON-BREAKING HYPHEN}", text.replace("|", "\\|"))


def table_of(findings, long):
    """The claims as a table of Markdown, and from how many runs they come.

    A claim about runs that only --full asks for may have been seen for fewer seeds: `long` is for
    how many, None where --full asks for no others.
    """
    rows = [
        f"| {cell(claim.claim)} | {cell(claim.reference)} | {cell(claim.measured)} "
        f"| {claim.held}{SPACE}of{SPACE}{claim.seeds} |\n"
        for claim in findings.claims
    ]
    seeds = len({record.seed for record in findings.records})
    taken = f"{len(findings.records)} runs, {findings.seconds:.0f} s of processor time"
    which = f"Seeds 0 to {seeds - 1}" if seeds > 1 else "Seed 0 alone"
    return f"\n{which}: {taken}{of_full(long)}.\n{HEAD}{''.join(rows)}\n"


def of_full(long):
    """Whether the runs are there that only --full asks for."""
    if long is None:
        return ""
    if long == 0:
        return ". The longer runs of `--full` are not among them"
    return f", with the longer runs of `--full` for {long} seed{'s' if long > 1 else ''}"


def kept(name, folder):
    """The findings of the seeds that were run, their charts, and how many have all of --full.

    Curves are of seed 0: of --full, if that seed has all of it.
    """
    study = STUDIES[name]()
    found = read(study, folder / f"{name}.json")
    whole = {full: seeds_with(study.runs(full), found) for full in (False, True)}
    seeds = whole[False] | whole[True]
    records = sorted((r for r in found if r.seed in seeds), key=lambda record: record.seed)
    if not records:
        return None, [], None
    asked = study.runs(full=0 in whole[True])
    charts = study.charts([r for r in records if r.settings in asked])
    long = None if study.runs(True) == study.runs(False) else len(whole[True])
    return Findings(study, records), charts, long


def seeds_with(runs, records):
    """The seeds of which all of some runs are there."""
    done = {(record.seed, str(record.settings)) for record in records}
    return {seed for seed, _ in done if all((seed, str(run)) in done for run in runs)}


def test_every_study_has_its_place_and_its_picture():
    page = PAGE.read_text("utf-8")
    assert list(tables()) == list(STUDIES)
    for name, study in STUDIES.items():
        assert f"tinygrad-rnn study {name}" in page
        assert f"(figures/studies/{name}.svg)" in page
        assert study.question in page
        assert (FIGURES / f"{name}.svg").exists()


@pytest.mark.parametrize("name", one_in(3, ["history", "orthogonal", "rtrl"]))
def test_a_table_has_the_claims_that_the_study_makes(name):
    findings = conduct(STUDIES[name](), backend="sequential")
    for claim in findings.claims:
        assert f"| {cell(claim.claim)} | {cell(claim.reference)} |" in tables()[name]


def test_no_claim_of_the_page_is_hidden_that_did_not_hold_for_all():
    page = PAGE.read_text("utf-8")
    counts = [tuple(map(int, found)) for found in re.findall(SEEN, page)]
    assert len(counts) > len(STUDIES)
    failed = sum(held < seeds for held, seeds in counts)
    assert f"{failed} of the {len(counts)} claims" in page


def write(folder):
    """Draw and write anew all that was run."""
    text = PAGE.read_text("utf-8")
    for name in STUDIES:
        if not (folder / f"{name}.json").exists():
            continue
        findings, charts, long = kept(name, folder)
        if findings is None:
            continue
        FIGURES.mkdir(exist_ok=True)
        (FIGURES / f"{name}.svg").write_bytes(render(charts, LIGHT, "svg"))
        start = f"<!-- table: {name} -->\n"
        before, _, rest = text.partition(start)
        text = before + start + table_of(findings, long) + rest[rest.index("<!-- end -->") :]
    counts = re.findall(SEEN, text)
    failed = sum(int(held) < int(seeds) for held, seeds in counts)
    text = re.sub(r"\d+ of the \d+ claims", f"{failed} of the {len(counts)} claims", text)
    PAGE.write_text(text, "utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
