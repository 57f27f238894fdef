"""Do the tests bite? Every mutant of the engine that cosmic-ray knows, against its tests.

`cosmic-ray init tests/mutation.toml mutation.sqlite` makes the session (of the compiler
`tests/mutation_compiler.toml`, of whose mutants `--sample 500` runs some), `python tests/mutate.py
mutation.sqlite` runs what it lacks, `cr-report mutation.sqlite` reads it. Quicker: with `--quick`
first, and what survives again with `--survivors`. Quicker still: `--record FILE
compiler` writes down which test runs which line of a room, and with `--covered FILE` a mutant meets
those tests alone that run its line, for `--seconds` of the processor.

`cosmic-ray exec` would start Python anew for each mutant. Here a mutant is compiled in a process
that is forked from one which has imported NumPy, Hypothesis and pytest; the sources stay as they
are. With `--covered` that process has collected the tests as well, and the functions of the mutant
get its code; only what runs as the package is imported needs a process that has not done so. The
order is random, so a part of a run is a uniform sample.
"""

import argparse
import ast
import difflib
import functools
import gc
import importlib
import importlib.machinery
import inspect
import linecache
import os
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter, defaultdict
from math import inf
from pathlib import Path
from types import CodeType, FunctionType

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
FIRST = "test_plans.py"  # which tell most mutants of the compiler apart
SIZE = "tests/autograd/test_ops.py::test_every_op_has_a_record_and_the_table_is_large"
# A mutant that takes more of them is killed: of the processor's seconds, as a clock says as much of
# what else the machine does. A clock's are for one that waits for ever.
SECONDS, SECONDS_OF_LONG, SECONDS_OF_ONE, TIMES_ON_A_CLOCK, GIGABYTES = 40, 90, 15, 20, 6
# How a process ends whose mutant is not the code of functions, and one in which this script fails.
AT_IMPORT, OURS = 77, 78
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

    def __init__(self, tests, seconds):
        self.place = {test: place for place, test in enumerate(tests)}
        self.seconds = seconds

    def pytest_collection_modifyitems(self, items):
        found = [item for item in items if item.nodeid in self.place]
        items[:] = sorted(found, key=lambda item: self.place[item.nodeid])

    def pytest_runtestloop(self, session):
        return run_for(session, session.items, self.seconds)


def run_for(session, items, seconds):
    """Run tests until one fails, or no time is left."""
    end = time.process_time() + seconds
    for item, following in zip(items, [*items, None][1:], strict=True):
        if time.process_time() > end:
            print("no time for the rest")
            break
        limit(SECONDS_OF_ONE)
        item.ihook.pytest_runtest_protocol(item=item, nextitem=following)
        if session.testsfailed:
            print("killed by", item.nodeid)
            break
    return True


class Warm:
    """A pytest plugin: when all tests are collected, it runs mutants in place of them."""

    def __init__(self, run_mutants):
        self.run_mutants = run_mutants

    def pytest_runtestloop(self, session):
        self.session = session
        self.tests = {item.nodeid: item for item in session.items}
        self.functions = defaultdict(list)
        gc.unfreeze()  # what is frozen is not listed
        for thing in gc.get_objects():
            if isinstance(thing, FunctionType):
                self.functions[place_of(thing.__code__)].append(thing)
        gc.freeze()
        self.run_mutants(self.fails)
        return True

    def fails(self, mutation, covered, seconds):
        """Whether one of these tests of a mutant does, as the exit code of its process."""
        try:
            changed = changed_functions(ROOT / mutation.module_path, mutated(mutation))
        except (RunsAtImport, SyntaxError):  # the latter is told of as it is imported
            return AT_IMPORT
        for old, new in changed:
            for function in self.functions[place_of(old)]:
                function.__code__ = new
        found = [self.tests[test] for test in covered if test in self.tests]
        run_for(self.session, found, seconds)
        return int(bool(self.session.testsfailed))


def place_of(code):
    return code.co_filename, code.co_firstlineno, code.co_qualname


class RunsAtImport(Exception):
    """What differs is no function's code."""


def changed_functions(path, source):
    """The functions of a module whose code is another one in this source: (old, new)."""
    return [*differing(compiled(path.read_text(encoding="utf-8"), path), compiled(source, path))]


def compiled(source, path):
    """A module's code. What Python warns of, `x is "a"`, no test has shown to be wrong."""
    with warnings.catch_warnings(action="ignore"):
        return compile(source, path, "exec")


def differing(old, new):
    inner = [part for part in old.co_consts if isinstance(part, CodeType)]
    others = [part for part in new.co_consts if isinstance(part, CodeType)]
    own = [
        (code.co_code, code.co_names, [x for x in code.co_consts if not isinstance(x, CodeType)])
        for code in (old, new)
    ]
    if own[0] != own[1] or len(inner) != len(others):
        raise RunsAtImport
    for a, b in zip(inner, others, strict=True):
        is_function = a.co_flags & inspect.CO_OPTIMIZED
        if not is_function:
            yield from differing(a, b)
        elif a != b:
            if a.co_freevars != b.co_freevars:
                raise RunsAtImport
            yield a, b


def record(path, room):
    """Write the lines of a room that each of its tests runs."""
    lines = Coverage(path, config_file=False, source=[str(ROOT / "tinygrad_rnn" / room)])
    lines.set_option("run:relative_files", True)  # to the root: another copy may read them
    os.chdir(ROOT)

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
        data = CoverageData(path)
        data.read()  # all of it here: where a process forks, it would be erased
        self.tests_of = {file: data.contexts_by_lineno(file) for file in data.measured_files()}
        self.lines_of = Counter()
        for lines in self.tests_of.values():
            for contexts in lines.values():
                self.lines_of.update(contexts)

    def tests(self, mutation):
        """Of the mutated statement; all, where it runs as its module is imported."""
        path = ROOT / mutation.module_path
        first, last = statement_at(path, mutation.start_pos[0])
        ran = self.tests_of.get(str(mutation.module_path))
        if ran is None:
            sys.exit(f"of {mutation.module_path} no lines were recorded")
        contexts = {context for line in range(first, last + 1) for context in ran.get(line, ())}
        if "" in contexts:
            contexts = {*self.lines_of} - {""}
        return sorted(contexts, key=lambda test: (FIRST not in test, self.lines_of[test]))

    def files(self):
        return sorted({str(ROOT / test.partition("::")[0]) for test in self.lines_of if test})


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


def import_as(mutation):
    """Be the mutant, in a process that has not imported the package."""
    path, source = str(ROOT / mutation.module_path), mutated(mutation)
    unchanged = importlib.machinery.SourceFileLoader.get_code

    def get_code(self, name):
        return compiled(source, path) if self.path == path else unchanged(self, name)

    importlib.machinery.SourceFileLoader.get_code = get_code
    linecache.cache[path] = (len(source), None, source.splitlines(keepends=True), path)


def run_tests(mutation, quick):
    """Pytest's exit code, of the mutant's op or file first."""
    import_as(mutation)
    near = definition_at(ROOT / mutation.module_path, mutation.start_pos[0])
    try:  # what it imports is the mutant, so not before
        import op_cases
    except Exception:
        traceback.print_exc()
        return 1

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


def covered_fail(mutation, tests, seconds):
    """Pytest's exit code, of these tests: 0 where there is none."""
    import_as(mutation)
    try:  # sooner than by collecting tests
        importlib.import_module("tinygrad_rnn")
    except Exception:
        traceback.print_exc()
        return 1
    files = {str(ROOT / test.partition("::")[0]) for test in tests}
    plugins = [Covered(tests, seconds)]
    return int(files and pytest.main([*OPTIONS, *sorted(files)], plugins=plugins))


class Child:
    """One mutant under test: `test(mutation)` runs in a process of its own, and says its end."""

    def __init__(self, item, test):
        (self.mutation,) = item.mutations
        self.item = item
        self.output = tempfile.TemporaryFile()  # noqa: SIM115  (open as long as the child runs)
        self.pid = os.fork()
        if not self.pid:
            code = OURS
            try:
                os.setsid()
                os.dup2(self.output.fileno(), 1)
                os.dup2(self.output.fileno(), 2)
                resource.setrlimit(resource.RLIMIT_AS, (GIGABYTES << 30,) * 2)
                limit(SECONDS)
                code = test(self.mutation)
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)

    def result(self, status):
        """For cosmic-ray: every end but a pass is a kill; the last lines say by which test."""
        self.output.seek(0)
        said = self.output.read().decode(errors="replace")[-2000:]
        self.output.close()
        if status:
            return WorkResult(
                WorkerOutcome.NORMAL, f"{said}\nended with {status}", TestOutcome.KILLED
            )
        before = (ROOT / self.mutation.module_path).read_text(encoding="utf-8")
        lines = before.splitlines(), mutated(self.mutation).splitlines()
        diff = "\n".join(difflib.unified_diff(*lines, "as it is", "mutant", lineterm=""))
        return WorkResult(WorkerOutcome.NORMAL, said, TestOutcome.SURVIVED, diff)


def run(session, items, workers, test, at_import=None):
    """Test these mutants, and write what came of each into the session.

    The ids of those that run as the package is imported go to that file.
    """
    running, counts = {}, Counter()
    with use_db(session, WorkDB.Mode.open) as database:
        while items or running:
            while items and len(running) < workers:
                child = Child(items.pop(), test)
                running[child.pid] = child
            pid, status = os.wait()
            child = running.pop(pid)
            code = os.waitstatus_to_exitcode(status)
            if code == AT_IMPORT:
                print(child.item.job_id, file=at_import, flush=True)
                child.output.close()
                continue
            result = child.result(status)
            if code == OURS:
                sys.exit(result.output)
            database.set_result(child.item.job_id, result)
            counts[result.test_outcome.value] += 1
            print(f"{len(items)} to go", dict(counts), flush=True)


def run_covered(session, items, workers, coverage, seconds):
    """The same where tests are collected once; then what runs as the package is imported."""
    at_import = tempfile.TemporaryFile("w+")  # noqa: SIM115  (open as long as this runs)

    def run_warm(fails):
        run(session, items, workers, lambda m: fails(m, coverage.tests(m), seconds), at_import)

    pid = os.fork()
    if not pid:
        arguments = [*OPTIONS, "-s", *coverage.files()]
        os._exit(pytest.main(arguments, plugins=[Warm(run_warm)]))
    _, status = os.waitpid(pid, 0)
    if status:
        sys.exit(f"the tests could not be collected: {status}")
    at_import.seek(0)
    left = {*at_import.read().split()}
    again = [item for item in items if item.job_id in left]
    run(session, again, workers, lambda m: covered_fail(m, coverage.tests(m), seconds))


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
    parser.add_argument("--seconds", type=float, default=inf, help="of all covered tests of one")
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
    if parsed.covered:
        run_covered(parsed.session, items, parsed.workers, parsed.covered, parsed.seconds)
    else:
        run(parsed.session, items, parsed.workers, lambda m: run_tests(m, parsed.quick))


if __name__ == "__main__":
    main()
