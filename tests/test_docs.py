"""The pages do what they say: their Python runs, and so do the commands they show."""

import ast
import io
import shlex
import traceback
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

import pytest
from click.testing import CliRunner
from markdown_it import MarkdownIt
from tables import rows

from tinygrad_rnn.cli import cli

ROOT = Path(__file__).parents[1]
GALLERY = ROOT / "docs" / "gallery.md"
# The gallery's commands are run by test_gallery.py, which looks at what they make.
PAGES = [ROOT / "README.md", *sorted({*(ROOT / "docs").glob("**/*.md")} - {GALLERY})]
# They conduct whole studies, or draw a lot; `.ci/run` asks for them, and builds a site of all.
LONG = {
    "03_why_creation_order_is_enough.md", "08_training_on_your_own_text.md",
    "10_drawing_your_own_model.md", "11_what_the_backward_pass_does.md",
    "12_debugging_an_exploding_network.md", "14_short_memory.md",
    "15_below_one_and_above_one.md", "16_how_the_compiler_makes_one_product_of_many.md",
    "17_what_if.md", "18_your_pytorch_model.md", "how_far_a_push_travels.md",
}  # fmt: skip
PROMPT = "$ tinygrad-rnn "


@dataclass(frozen=True)
class Block:
    """A fenced code block: its language, its text, and the line that it begins on."""

    language: str
    text: str
    line: int

    @property
    def file_name(self) -> str | None:
        """`train.py` when the first line is `# train.py`: a script for a later command."""
        first = self.text.partition("\n")[0].removeprefix("# ")
        return first if first.endswith(".py") and " " not in first else None

    @property
    def commands(self) -> list[str]:
        """What is typed after our own name; `bench` ends as the machine is busy or not."""
        lines = [f"{line} " for line in self.text.splitlines()]
        ours = [line.removeprefix(PROMPT).strip() for line in lines if line.startswith(PROMPT)]
        return [command for command in ours if not command.startswith("bench")]

    def shown_by(self, command: str) -> list[str]:
        """What the page shows of a command's output: the lines up to the next prompt."""
        lines = self.text.splitlines()
        after = lines[lines.index(f"{PROMPT}{command}") + 1 :]
        return list(takewhile(lambda line: not line.startswith("$ "), after))


def blocks(markdown: str) -> Iterator[Block]:
    """The code blocks of a page, in order."""
    for token in MarkdownIt("commonmark").parse(markdown):
        if token.type == "fence" and token.info.strip():
            yield Block(token.info.split()[0], token.content, token.map[0] + 2)


def run_python(block: Block, page: str, namespace: dict[str, object]) -> bool:
    """Run a block; whether it showed anything, by printing or as the value of its last line."""
    if block.file_name:
        Path(block.file_name).write_text(block.text, "utf-8")
    tree = ast.parse(block.text, page)
    ast.increment_lineno(tree, block.line - 1)  # a traceback then names the page's own line
    last = ast.Expression(tree.body.pop().value) if isinstance(tree.body[-1], ast.Expr) else None
    shown = None
    with redirect_stdout(io.StringIO()) as printed:
        exec(compile(tree, page, "exec"), namespace)
        if last is not None:
            shown = eval(compile(last, page, "eval"), namespace)
    return shown is not None or bool(printed.getvalue())


def run_command(command: str) -> str:
    done = CliRunner().invoke(cli, shlex.split(command))
    assert done.exit_code == 0, f"{command}\n{done.output}\n{done.exception!r}"
    return done.stdout


@pytest.mark.parametrize(
    "path",
    rows(PAGES, [path for path in PAGES if path.name not in LONG]),
    ids=[path.relative_to(ROOT).as_posix() for path in PAGES],
)
def test_a_page_does_what_it_says(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {"__name__": "__main__"}
    for block in blocks(path.read_text("utf-8")):
        if block.language == "python":
            shown = run_python(block, str(path), namespace)
            # A reader of a chapter sees what a block did.
            is_chapter = path.name[0].isdigit() or path.name == "questions.md"
            assert shown or not is_chapter, f"{path.name}:{block.line} shows nothing"
        if block.language == "console":
            for command in block.commands:
                output = iter(run_command(command).splitlines())
                # A transcript is the same everywhere; the page may leave lines of it out.
                if "--commands" in command:
                    assert [line for line in block.shown_by(command) if line not in output] == []


PAGE = """\
Indented: `x`.

```python
# train.py
x = 1
```

- in a list

  ```console
  $ pip install -e .
  $ tinygrad-rnn draw train.py
  drawn
  $ tinygrad-rnn
  $ tinygrad-rnnx
  ```

```
no language
```
"""


def test_blocks_of_a_page():
    python, console = blocks(PAGE)
    assert (python.language, python.text, python.line) == ("python", "# train.py\nx = 1\n", 4)
    assert (python.file_name, console.file_name) == ("train.py", None)
    assert console.commands == ["draw train.py", ""]
    assert console.shown_by("draw train.py") == ["drawn"]


def test_python_of_a_page_fails_at_the_line_of_the_page(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ZeroDivisionError) as caught:
        run_python(Block("python", "x = 0\n1 / x\n", 7), "page.md", {})
    innermost = traceback.extract_tb(caught.tb)[-1]
    assert (innermost.filename, innermost.lineno) == ("page.md", 8)


def test_a_failing_command_shows_what_it_said():
    with pytest.raises(AssertionError, match="no op 'tanhh'"):
        run_command("explain tanhh")
