"""Do the tests bite? Every mutant of the engine that cosmic-ray knows, against its tests.

`cosmic-ray init tests/mutation.toml mutation.sqlite` makes the session (of the compiler
`tests/mutation_compiler.toml`, of whose mutants `--sample 500` runs some), `python tests/mutate.py
mutation.sqlite` runs what it lacks, `cr-report mutation.sqlite` reads it. Quicker: with `--quick`
first, and what survives again with `--survivors`. Quicker still: `--record FILE
compiler` writes down which test runs which line of a room, and with `--covered FILE` a mutant meets
those tests alone that run its line.

`cosmic-ray exec` would start Python anew for each mutant. Here a mutant is compiled in a process
that is forked from one which has imported NumPy, Hypothesis and pytest; the sources stay as they
are. The order is random, so a part of a run is a uniform sample.
"""

import argparse
import ast
import difflib
import functools
import importlib.machinery
import linecache
import os
import random
import resource
import signal
import sys
import tempfile
import traceback
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
os.environ |= {
    "OPENBLAS_NUM_THREADS": "1",
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    "HYPOTHESIS_PROFILE": "ci",
}
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import hypothesis  # noqa: E402
import pytest  # noqa: E402
from cosmic_ray import plugins  # noqa: E402
from cosmic_ray.mutating import mutate_code  # noqa: E402
from cosmic_ray.work_db import WorkDB, use_db  # noqa: E402
from cosmic_ray.work_item import TestOutcome, WorkerOutcome, WorkResult  # noqa: E402
from coverage import Coverage, CoverageData  # noqa: E402

UNITS = (
    "test_backward", "test_op", "test_tensor", "test_state", "test_check", "test_numerics",
    "test_protocols",
)  # fmt: skip
TABLE = ("test_ops", "test_laws")
OF_THE_COMPILER = (
    "test_program", "test_rewrites", "test_plan", "test_lowering", "test_report", "test_outline",
    "test_capture", "test_guards", "test_compiled", "test_stale",
)  # fmt: skip
SIZE = "tests/autograd/test_ops.py::test_every_op_has_a_record_and_the_table_is_large"
# A mutant that takes more of them is killed: of the processor's seconds, as a clock says as much of
# what else the machine does. A clock's are for one that waits for ever.
SECONDS, SECONDS_OF_LONG, TIMES_ON_A_CLOCK, GIGABYTES = 40, 90, 20, 6
LONG = ("chain_of_many", "threads", "test_laws.py")
OPTIONS = (
    "-xq",
    "--tb=line",
    "-m=not slow",
    "-pno:cacheprovider",
    "-oaddopts=--import-mode=importlib",
)


class Bites:
    """A pytest plugin: tests of the op `near` first, long ones last, each with a time limit."""

    def __init__(self, near, quick):
        self.near, self.quick = near, quick

    def pytest_configure(self):
        # A counterexample need not be the smallest.
        phases = [hypothesis.Phase.explicit, hypothesis.Phase.generate]
        ci = hypothesis.settings.get_profile("ci")
        hypothesis.settings.register_profile("mutants", ci, phases=phases)
        hypothesis.settings.load_profile("mutants")

    def pytest_collection_modifyitems(self, items):
        shuffled = random.Random(0).sample(items, len(items))
        if self.quick:
            shuffled = [item for item in shuffled if not self.long(item)]
        items[:] = sorted(shuffled, key=lambda item: (self.long(item), not self.is_near(item)))

    def pytest_runtest_setup(self, item):
        limit(SECONDS_OF_LONG if self.long(item) else SECONDS)

    def is_near(self, item):
        return f"[{self.near}]" in item.nodeid or f"[{self.near}-" in item.nodeid

    @staticmethod
    def long(item):
        return any(name in item.nodeid for name in LONG)


def limit(seconds):
    """Nobody handles these signals: the process ends."""
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.alarm(TIMES_ON_A_CLOCK * seconds)


class Covered:
    """A pytest plugin: only tests that ran a mutant's line, those that run little code first."""

    def __init__(self, tests):
        self.place = {test: place for place, test in enumerate(tests)}

    def pytest_collection_modifyitems(self, items):
        found = [item for item in items if item.nodeid in self.place]
        items[:] = sorted(found, key=lambda item: self.place[item.nodeid])

    def pytest_runtest_setup(self, item):
        limit(SECONDS)


def record(path, room):
    """Write the lines of a room that each of its tests runs."""
    lines = Coverage(path, config_file=False, source=[str(ROOT / "tinygrad_rnn" / room)])

    class Contexts:
        @pytest.hookimpl(tryfirst=True)
        def pytest_runtest_setup(self, item):
            lines.switch_context(item.nodeid)

    lines.start()
    code = pytest.main([*OPTIONS, str(ROOT / "tests" / room)], plugins=[Contexts()])
    lines.stop()
    lines.save()
    return int(code)


class TestsOfLines:
    """Which tests ran which line, as `record` wrote it."""

    def __init__(self, path):
        self.data = CoverageData(path)
        self.data.read()
        self.lines_of = Counter()
        for file in self.data.measured_files():
            for contexts in self.data.contexts_by_lineno(file).values():
                self.lines_of.update(contexts)

    def tests(self, mutation):
        """Of the mutated statement, or None where it runs as its module is imported."""
        path = ROOT / mutation.module_path
        first, last = statement_at(path, mutation.start_pos[0])
        ran = self.data.contexts_by_lineno(str(path))
        contexts = {context for line in range(first, last + 1) for context in ran.get(line, ())}
        if "" in contexts:
            return None
        return sorted(contexts, key=self.lines_of.__getitem__)


def statement_at(path, line):
    """First and last line of the innermost statement there; of one with a body, of its head."""
    found = (line, line)
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.stmt) and node.lineno <= line <= node.end_lineno:
            last = node.end_lineno
            if body := getattr(node, "body", None):
                last = body[0].lineno - 1
            if line <= max(last, node.lineno):
                found = max(found, (node.lineno, max(last, node.lineno)))
    return found


@functools.cache
def never_evaluated(path):
    """Annotations of local variables and attributes, and `if TYPE_CHECKING`: (start, end)."""
    found = []
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef):
            inside = ast.walk(node)
            found += [part.annotation for part in inside if isinstance(part, ast.AnnAssign)]
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            found.append(node)
    return [((n.lineno, n.col_offset), (n.end_lineno, n.end_col_offset)) for n in found]


@functools.cache
def tree(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def definition_at(path, line):
    """The name of the module's function that a line belongs to, decorators included."""
    for node in tree(path).body:
        if isinstance(node, ast.FunctionDef):
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            if first <= line <= node.end_lineno:
                return node.name
    return ""


def mutated(mutation):
    operator = plugins.get_operator(mutation.operator_name)(**mutation.operator_args)
    return mutate_code(
        (ROOT / mutation.module_path).read_text(encoding="utf-8"), operator, mutation.occurrence
    )


def run_tests(mutation, output, quick, covered):
    """In a process of its own: be the mutant, and end with pytest's exit code."""
    os.setsid()
    os.dup2(output.fileno(), 1)
    os.dup2(output.fileno(), 2)
    resource.setrlimit(resource.RLIMIT_AS, (GIGABYTES << 30,) * 2)
    limit(SECONDS)
    path, source = str(ROOT / mutation.module_path), mutated(mutation)
    unchanged = importlib.machinery.SourceFileLoader.get_code

    def get_code(self, name):
        return compile(source, path, "exec") if self.path == path else unchanged(self, name)

    importlib.machinery.SourceFileLoader.get_code = get_code
    linecache.cache[path] = (len(source), None, source.splitlines(keepends=True), path)
    if covered is not None:
        return covered_fail(covered)
    near = definition_at(ROOT / mutation.module_path, mutation.start_pos[0])
    # What it imports is the mutant, so not before.
    import op_cases

    if "compiler" in mutation.module_path.parts:
        own = f"test_{mutation.module_path.stem}"
        first = [own] if own in OF_THE_COMPILER else []
        for names in (first, OF_THE_COMPILER):
            if names and (failed := tests_fail("compiler", names, near, quick)):
                return failed
        op_cases.CASES = one_in(12 if quick else 1, op_cases.CASES)
        return tests_fail("compiler", ("test_every_op",), near, quick)
    if near and (failed := tests_of_op(op_cases, near)):
        return failed
    if failed := tests_fail("autograd", UNITS, near, quick):
        return failed
    if quick:
        op_cases.CASES = one_in(3, op_cases.CASES)
    return tests_fail("autograd", TABLE, near, quick)


def one_in(number, cases):
    """Drawn at random: every third could leave out each op's third option."""
    return random.Random(0).sample(cases, len(cases) // number)


def tests_of_op(op_cases, name):
    """The op's own rows of the table, before all of it is collected."""
    every = op_cases.CASES
    op_cases.CASES = [case for case in every if case.op == name]
    failed = op_cases.CASES and tests_fail("autograd", ("test_ops",), name, quick=False)
    op_cases.CASES = every
    for imported in [module for module in sys.modules if module.endswith("test_ops")]:
        del sys.modules[imported]
    return failed


def tests_fail(room, names, near, quick):
    """Pytest's exit code: 0 when all pass."""
    files = [str(ROOT / "tests" / room / f"{name}.py") for name in names]
    return int(pytest.main([*OPTIONS, "--deselect", SIZE, *files], plugins=[Bites(near, quick)]))


def covered_fail(tests):
    """Pytest's exit code, of these tests: 0 where there is none."""
    files = {str(ROOT / test.partition("::")[0]) for test in tests}
    return int(files and pytest.main([*OPTIONS, *sorted(files)], plugins=[Covered(tests)]))


class Child:
    """One mutant under test."""

    def __init__(self, item, quick, coverage):
        (self.mutation,) = item.mutations
        self.item = item
        covered = coverage.tests(self.mutation) if coverage else None
        self.output = tempfile.TemporaryFile()  # noqa: SIM115  (open as long as the child runs)
        self.pid = os.fork()
        if not self.pid:
            code = 3
            try:
                code = run_tests(self.mutation, self.output, quick, covered)
            except BaseException:  # most often a mutant that cannot be imported
                traceback.print_exc()
                sys.stderr.flush()
            finally:
                os._exit(code)

    def result(self, status):
        """For cosmic-ray: every end but a pass is a kill; the last lines say by which test."""
        self.output.seek(0)
        said = self.output.read().decode(errors="replace")[-2000:]
        if status:
            return WorkResult(
                WorkerOutcome.NORMAL, f"{said}\nended with {status}", TestOutcome.KILLED
            )
        before = (ROOT / self.mutation.module_path).read_text(encoding="utf-8")
        lines = before.splitlines(), mutated(self.mutation).splitlines()
        diff = "\n".join(difflib.unified_diff(*lines, "as it is", "mutant", lineterm=""))
        return WorkResult(WorkerOutcome.NORMAL, said, TestOutcome.SURVIVED, diff)


def run(database, items, workers, quick, coverage):
    running, counts = {}, Counter()
    while items or running:
        while items and len(running) < workers:
            child = Child(items.pop(), quick, coverage)
            running[child.pid] = child
        pid, status = os.wait()
        child = running.pop(pid)
        result = child.result(status)
        database.set_result(child.item.job_id, result)
        counts[result.test_outcome.value] += 1
        print(f"{len(items)} to go", dict(counts), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("session", help="a room of the package, with --record")
    parser.add_argument("--record", metavar="FILE", help="write which test runs which line")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument(
        "--survivors", action="store_true", help="run again what survived, after tests were added"
    )
    parser.add_argument(
        "--quick", action="store_true", help="a third of the op table and no long test"
    )
    parser.add_argument(
        "--covered", type=TestsOfLines, help="only the tests that, as recorded, run a mutant's line"
    )
    parser.add_argument("--sample", type=int, help="run so many, drawn at random")
    parsed = parser.parse_args()
    if parsed.record:
        sys.exit(record(parsed.record, parsed.session))
    with use_db(parsed.session, WorkDB.Mode.open) as database:
        items = list(database.pending_work_items)
        if parsed.survivors:
            items = [item for item, result in database.completed_work_items if not result.is_killed]
        for item in list(items):
            (mutation,) = item.mutations
            spans = never_evaluated(ROOT / mutation.module_path)
            if any(first <= mutation.start_pos < last for first, last in spans):
                items.remove(item)
                database.set_result(
                    item.job_id, WorkResult(WorkerOutcome.SKIPPED, "never evaluated")
                )
        random.Random(0).shuffle(items)
        del items[: len(items) - (parsed.sample or len(items))]
        run(database, items, parsed.workers, parsed.quick, parsed.covered)


if __name__ == "__main__":
    main()
