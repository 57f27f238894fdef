"""What a command is, the table of all of them, and how a line finds its own."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from ..expressions import CommandError
from ..session import Session
from .arguments import Arguments
from .replies import Reply
from .searching import go_on

Run = Callable[[Session, Arguments], Reply]


@dataclass(frozen=True, slots=True)
class Command:
    """One command; `keys` are pairs of a key and the line that it stands for."""

    name: str
    usage: str
    summary: str
    keys: tuple[tuple[str, str], ...]
    details: str
    run: Run


COMMANDS: list[Command] = []


def command(
    usage: str,
    summary: str,
    *,
    keys: str | Mapping[str, str] = "",
    details: str = "",
    name: str = "",
) -> Callable[[Run], Run]:
    """Make a function a command.

    Args:
        usage: its name and the arguments it takes.
        summary: what it does, in a line of the help.
        keys: the key for it, or each key with the line that it stands for.
        details: what `help` adds when it is asked about this command.
        name: where the usage does not begin with it.
    """
    name = name or usage.partition(" ")[0]
    if isinstance(keys, str):
        keys = {keys: name} if keys else {}
    pairs = tuple(keys.items())

    def register(run: Run) -> Run:
        COMMANDS.append(Command(name, usage, summary, pairs, details, run))
        return run

    return register


# What those type who know pdb or vim.
_AS_IN_PDB = {
    "exit": "quit", "q!": "quit", ":q": "quit", ":q!": "quit", "bt": "where",
    "s": "step", "cont": "continue", "pp": "print", "ll": "list", "display": "watch",
    "undisplay": "unwatch", "clear": "delete", "h": "help",
}  # fmt: skip
# Letters that are commands of pdb, and keys of another command here.
_LETTERS_OF_PDB = {
    "c": "continue", "p": "print E", "d": "down", "u": "up", "l": "list", "w": "where",
}  # fmt: skip
# Words of pdb that would be short for another command here.
_NOT_AS_IN_PDB = dict.fromkeys(
    ["r", "return"],
    "there is no `return` as in pdb: `step cell` runs to the end of a copy, `out` folds the "
    "module around, `rcontinue` runs back to a breakpoint",
)


def execute(session: Session, line: str) -> Reply:
    """Run one command line.

    Raises:
        CommandError: it is not a command, or cannot be run here; says where.
        TraceError: the run has no answer to it.
    """
    stripped = line.strip()
    if not stripped or stripped.startswith("#"):
        return Reply()
    if stripped.startswith("/"):
        return named("search", line).run(session, Arguments(line, line.index("/") + 1))
    repeated = _REPEATS.fullmatch(stripped)
    if repeated and session.is_searching:
        return go_on(session, +1 if repeated[2] == "n" else -1, int(repeated[1] or 1))
    session.is_searching = False
    if stripped == "N":
        raise CommandError("N goes back through a search, but no search is open: /text begins one")
    note, line = _note(session, line), _without_keys(line)
    word = re.match(r"\s*([^\s\[]*)", line)
    assert word is not None
    try:
        reply = named(word[1], line).run(session, Arguments(line, word.end()))
    except CommandError as error:
        if note:
            raise CommandError(f"{error}; {note}", error.text, error.column) from None
        raise
    return replace(reply, note=note) if note else reply


_REPEATS = re.compile(r"(\d{0,4})([nN])")


def _note(session: Session, line: str) -> str:
    """Say, once, that a letter is another command in pdb."""
    match = _KEY.match(line)
    letter = match[2] if match else ""
    if letter not in _LETTERS_OF_PDB or letter in session.told:
        return ""
    session.told.add(letter)
    meant = next(line for command in COMMANDS for key, line in command.keys if key == letter)
    return (
        f"`{letter}` is `{meant}` here; what pdb does at `{letter}` is `{_LETTERS_OF_PDB[letter]}`"
    )


_KEY = re.compile(r"\s*(\d{0,4})(\S)(?=\s|$)")


def _without_keys(line: str) -> str:
    """The line with a key of the table at its start spelled out; a count goes before a motion."""
    match = _KEY.match(line)
    meant = {key: line for command in COMMANDS for key, line in command.keys}
    if match is None or match[2] not in meant:
        return line
    words, count = meant[match[2]], match[1]
    if count and words.startswith("jump "):  # as in vim, 10G
        words = "jump"
    return f"{words} {count}".rstrip() + line[match.end() :]


def named(word: str, line: str) -> Command:
    """The command of a name, which may be cut short while it is clear.

    Raises:
        CommandError: there is none, or more than one; marks the word in `line`.
    """
    by_name = {one.name: one for one in COMMANDS}
    word = _AS_IN_PDB.get(word, word)
    if word in by_name:
        return by_name[word]
    if word in _NOT_AS_IN_PDB:
        raise CommandError(_NOT_AS_IN_PDB[word], line, line.find(word))
    found = [name for name in by_name if name.startswith(word)]
    shortest = min(found, key=len, default="")
    if found and all(name.startswith(shortest) for name in found):
        return by_name[shortest]
    which = f"there is no command {word!r}; `help` lists them"
    if found:
        which = f"{word!r} may be {', '.join(found)}"
    raise CommandError(which, line, line.find(word))
