"""The shape of the project: its layers, the engine's imports and length, what lies at the top."""

import ast
import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import grimp
import pytest
from importlinter.cli import lint_imports

ROOT = Path(__file__).parents[1]
ENGINE = ROOT / "tinygrad_rnn" / "autograd"
AT_THE_TOP = {"LICENSE", "README.md", "docs", "examples", "pyproject.toml", "tests", "tinygrad_rnn"}

NOT_CODE = {
    tokenize.COMMENT, tokenize.DEDENT, tokenize.ENDMARKER, tokenize.INDENT, tokenize.NEWLINE,
    tokenize.NL,
}  # fmt: skip


def test_imports_go_only_to_the_left():
    assert lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True) == 0


def test_no_imports_run_in_a_circle():
    """Those inside functions and those for types alone count too: a reader follows them all."""
    graph = grimp.build_graph("tinygrad_rnn", cache_dir=None)
    imports = {name: graph.find_modules_directly_imported_by(name) for name in graph.modules}
    # tr.debug() opens the debugger on itself.
    imports["tinygrad_rnn.tracing.trace"].discard("tinygrad_rnn.debugger.start")
    TopologicalSorter(imports).prepare()


def test_the_engine_imports_numpy_alone():
    graph = grimp.build_graph("tinygrad_rnn", include_external_packages=True, cache_dir=None)
    engine = {"tinygrad_rnn.autograd", *graph.find_descendants("tinygrad_rnn.autograd")}
    imported = {
        name for module in engine for name in graph.find_modules_directly_imported_by(module)
    }
    assert imported - engine - sys.stdlib_module_names == {"numpy", "tinygrad_rnn.errors"}


def docstring_lines(source: str) -> set[int]:
    """The first line of every string that stands as a statement of its own."""
    return {
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    }


def tokens_of_code(source: str) -> int:
    """How much there is to read: comments, docstrings and line ends are not counted."""
    left_out = docstring_lines(source)
    return sum(
        token.type not in NOT_CODE
        and not (token.type == tokenize.STRING and token.start[0] in left_out)
        for token in tokens_in(source)
    )


def tokens_in(source: str) -> Iterator[tokenize.TokenInfo]:
    """Those of Python 3.11, whatever runs: later ones take an f-string apart, which is one here."""
    inside = 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        kind = tokenize.tok_name[token.type]
        if kind == "FSTRING_END":
            inside -= 1
            continue
        if not inside:
            yield token
        if kind == "FSTRING_START":
            inside += 1


@pytest.mark.parametrize(
    ("source", "tokens"),
    [
        ("# a comment\n\n", 0),
        ('"""A docstring\n\nof three lines."""\n', 0),
        ('def f():\n    """One line."""\n    return 1  # why\n', 7),
        ('x = """two\nlines"""\n', 3),
        ("x = f\"{a:{b}} {f'{c}'}\" + d\n", 5),
    ],
)
def test_tokens_of_code(source, tokens):
    assert tokens_of_code(source) == tokens


def test_the_whole_engine_is_in_one_folder():
    """The limit below is met by simplifying, never by moving a part of the engine out.

    The gradient check stands beside it, as tinygrad_rnn/check.py, and only uses the engine.
    """
    files = {path.stem for path in ENGINE.glob("*.py")}
    assert files == {
        *(
            "__init__",
            "state",
            "switches",
            "heap",
            "methods",
            "origin",
            "tensor",
            "op",
            "backward",
            "protocols",
        ),
    }
    assert (ENGINE / "ops" / "__init__.py").exists()
    assert (ENGINE.parent / "check.py").exists()


def test_the_engine_can_be_read_in_one_sitting():
    """Tokens, not lines: a budget in lines is kept by packing. The table of ops does not count."""
    machinery = [ENGINE / f"{name}.py" for name in ("state", "op", "tensor", "backward")]
    tokens = {path.name: tokens_of_code(path.read_text("utf-8")) for path in machinery}
    assert sum(tokens.values()) <= 5500, tokens


def private_names(source: str) -> set[str]:
    """The private names that a test imports, reads of anything but itself, or replaces."""
    names = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Attribute(value=ast.Name(id="self" | "cls")):
                pass
            case ast.Attribute(attr=name) | ast.alias(name=name):
                names.append(name)
            case ast.Call(func=ast.Attribute(attr="setattr"), args=arguments):
                names += [part.value for part in arguments if isinstance(part, ast.Constant)]
    last = {str(name).rpartition(".")[2] for name in names}
    # A named tuple's fields and IPython's protocol are public.
    return {name for name in last if re.fullmatch(r"_[A-Za-z](\w*[^\W_])?", name)} - {
        "_fields",
        "_replace",
    }


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("from textual.keys import _a, b", {"_a"}),
        ("app._answer.c = self._d.e", {"_answer"}),
        ("x.__dict__, y._fields, y._replace(), z._repr_mimebundle_()", set()),
        ("monkeypatch.setattr('a.b._C', 1); monkeypatch.setattr(a, '_d', 1)", {"_C", "_d"}),
    ],
)
def test_private_names(source, names):
    assert private_names(source) == names


def test_no_test_uses_a_private_name():
    """A test of what the public can see stays when the inside is written anew."""
    tests = {*(ROOT / "tests").rglob("*.py")} - {ROOT / "tests" / "mutate.py"}
    sources = {path.name: path.read_text("utf-8") for path in tests}
    found = {name: private_names(s) for name, s in sources.items() if re.search(r"\b_[A-Za-z]", s)}
    assert {name: names for name, names in found.items() if names} == {}


def checked_out() -> set[str]:
    """What the top of the repository holds; what a person has generated there is not part of it."""
    command = ["git", "ls-tree", "--name-only", "HEAD"]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):  # a plain copy of the sources
        return {path.name for path in ROOT.iterdir()}
    return set(done.stdout.splitlines())


def test_nothing_else_lies_at_the_top():
    assert {name for name in checked_out() if not name.startswith(".")} <= AT_THE_TOP


SLOW = {
    "numpy.random", "hashlib", "inspect", "json", "random", "shutil", "tempfile", "traceback",
    "urllib", "click", "graphviz", "matplotlib", "pygraphviz", "rich", "safetensors", "textual",
}  # fmt: skip


def test_importing_the_package_imports_nothing_slow():
    """What is imported where it is used costs nobody else: the budget is 60 ms beside NumPy."""
    code = """if True:
        import sys, numpy
        before = set(sys.modules)
        import tinygrad_rnn
        print(*(set(sys.modules) - before))
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert SLOW & set(done.stdout.split()) == set()
