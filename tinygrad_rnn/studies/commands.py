"""What `tinygrad-rnn study` does."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import StudyError
from ..files import write_atomic
from ..text import for_terminal
from . import STUDIES
from .conduct import conduct
from .study import Findings, Study

if TYPE_CHECKING:
    from rich.console import Console

NO = 1  # the answer is no: a claim did not hold


def list_studies() -> None:
    """Print each study's name, question and source."""
    from rich.console import Console
    from rich.table import Table

    table = Table("study", "question", "source")
    for name, study in STUDIES.items():
        table.add_row(name, study.question, study.source)
    Console(emoji=False).print(table)


def run_study(
    name: str,
    *,
    file: Path | None,
    out: Path,
    seeds: int,
    full: bool,
    jobs: int | None,
    backend: str | None,
) -> int:
    """Run a study, print its table and charts, and write the files; 0 if every claim held, else 1.

    Raises:
        StudyError: there is no such study, or it cannot use an option.
    """
    from rich.console import Console

    from .terminal import draw, progress, table

    study = named(name, file)
    out.mkdir(parents=True, exist_ok=True)
    console = Console(emoji=False)
    with progress(name, Console(stderr=True, emoji=False)) as bar:
        path = out / f"{name}.json"
        findings = conduct(
            study, seeds=seeds, full=full, path=path, jobs=jobs, backend=backend, reporter=bar
        )
    console.print(table(findings))
    plain = not console.encoding.startswith("utf")
    for chart in findings.charts:
        console.print(draw(chart, min(console.width, 110), plain=plain))
    runs, seconds = len(findings.records), findings.seconds
    console.print(f"{runs} runs, {seconds:.0f} s of processor time. Source: {study.source}")
    _say_files(console, [path, *save_charts(findings, out), *save_flow(study, out)])
    return 0 if findings.holds else NO


def named(name: str, file: Path | None = None) -> Study:
    """The study of that name; `file` is the text of a study that reads one."""
    if name not in STUDIES:
        raise StudyError(f"there is no study {name!r}; there are {', '.join(STUDIES)}")
    options: dict[str, Any] = {} if file is None else {"file": file}
    try:
        return STUDIES[name](**options)
    except TypeError:
        raise StudyError(f"the study {name} reads no file; leave --file out") from None


def save_charts(findings: Findings, out: Path) -> list[Path]:
    """Write the charts as SVG and PNG, light and dark."""
    from .chart import THEMES, render

    written = []
    for ending, theme in THEMES.items():
        for format in ("svg", "png"):
            path = out / f"{findings.study.name}{ending}.{format}"
            write_atomic(path, render(findings.charts, theme, format))
            written.append(path)
    return written


def save_flow(study: Study, out: Path) -> list[Path]:
    """Draw how the gradient flows back through a small example of the model, light and dark."""
    from ..diagrams import draw
    from .chart import THEMES

    loss = study.loss()
    if loss is None:
        return []
    written = []
    for ending, theme in THEMES.items():
        diagram = draw(loss, gradients=True, theme=theme.name)
        for format in ("svg", "png"):
            path = out / f"{study.name}-flow{ending}.{format}"
            diagram.save(path)
            written.append(path)
    return written


def _say_files(console: "Console", paths: list[Path]) -> None:
    names = " ".join(for_terminal(path.name) for path in paths)
    console.print(
        f"In {for_terminal(str(paths[0].parent))}: {names}", markup=False, highlight=False
    )
