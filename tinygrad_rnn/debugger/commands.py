"""The commands: the one table that the `:` line, command files, keys, help and the key card are made from."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Command:
    """One command: how it is written, what it does, and the keys that say it (key -> the line it stands for)."""

    name: str
    usage: str
    summary: str
    keys: tuple[tuple[str, str], ...] = ()


COMMANDS = (
    Command(
        "step", "step [op|cell|t|layer|phase] [N]", "forward to the end of the next event, cell, timestep …",
        (("n", "step"), ("c", "step cell"), ("t", "step t"), ("l", "step layer")),
    ),
    Command(
        "back", "back [op|cell|t|layer|phase] [N]", "the same, back in time",
        (("p", "back"), ("C", "back cell"), ("T", "back t"), ("L", "back layer")),
    ),
    Command("into", "into", "unfold the module at the cursor: step through its ops", (("enter", "into"),)),
    Command("out", "out", "fold the module at the cursor: step over it as one", (("u", "out"),)),
    Command("continue", "continue", "run to the next breakpoint, or the end", (("]", "continue"),)),
    Command("rcontinue", "rcontinue", "run back to the previous breakpoint, or the start", (("[", "rcontinue"),)),
    Command(
        "jump", "jump N|±N|start|end", "go to an event",
        (("g", "jump start"), ("G", "jump end")),
    ),
    Command("flip", "flip", "between an op's forward and its vjp", (("f", "flip"),)),
    Command("why", "why [X[r,c]]", "the formula that made an element, with its numbers", (("w", "why"),)),
    Command("origin", "origin [X[r,c]]", "follow the largest contribution back", (("o", "origin"),)),
    Command("last", "last [X]", "go to the event that wrote X last, before this one", (("<", "last"),)),
    Command("next", "next [X]", "go to the event that writes X next", ((">", "next"),)),
    Command("diff", "diff [X I J]", "two timesteps of X side by side", (("D", "diff"),)),
    Command("ledger", "ledger [W]", "what each timestep added to a parameter's gradient", (("d", "ledger"),)),
    Command("verify", "verify", "this vjp against a central difference, on these numbers", (("v", "verify"),)),
    Command("select", "select r,c", "the element that formulas are shown for"),
    Command("watch", "watch [E]", "show an expression at every step"),
    Command("unwatch", "unwatch [N]", "stop showing watch N, or all of them"),
    Command("print", "print E", "the value of an expression, now"),
    Command("assert", "assert E", "fail (exit code 1) unless an expression is true"),
    Command("break", "break WORD… [if E]", "stop `continue` where all this is so; see `help break`"),
    Command("delete", "delete [N]", "remove breakpoint N, or all of them"),
    Command("info", "info", "breakpoints, watches and what the recording holds", (("i", "info"),)),
    Command("list", "list", "the source around the line that ran"),
    Command("search", "/text", "go to the next event whose name, op or line contains the text", (("/", "/"),)),
    Command("help", "help [COMMAND]", "this list", (("?", "help"),)),
    Command("quit", "quit", "leave", (("q", "quit"),)),
)  # fmt: skip

BY_NAME = {command.name: command for command in COMMANDS}

SCREEN_KEYS = (
    (":", ("colon",), "type a command; Up and Down bring back earlier ones, Esc leaves the line"),
    ("arrows", ("up", "down", "left", "right"), "select the element that formulas are shown for"),
    ("m", ("m",), "the matrix alone, on the whole screen; an answer, too"),
    ("PgUp PgDn", ("pageup", "pagedown"), "scroll the answer, else the events; so does the wheel"),
    ("Home End", ("home", "end"), "the first event, the last"),
    ("Esc", ("escape",), "close the answer"),
    ("Ctrl-P", ("ctrl+p",), "find a command by what it does"),
    ("Ctrl-C", ("ctrl+c",), "leave"),
)
"""What is no command: keys of the screen, as people write them and as Textual does."""

BREAK_HELP = """\
break fwd|bwd|acc|upd      events of the forward pass, the backward pass, into .grad, of parameters
break nan|inf|nonfinite    the event wrote such a value
break op=GLOB in=GLOB      the op, the module it ran in
break name=GLOB            what it wrote: name=h, name=h@3, name=d.W_*
break t=2..4 layer=1       timesteps and layers, from 0
break line=[FILE:]N        the line of your code
break change=E             the value of an expression changed
break once  hits=N         the first time only, the Nth time only
break … if E               and the expression is true, with out, A, B, G of the event:
                           break bwd op=tanh t=2..4 if norm(G) > 1
expressions                h (at the event's timestep), h@3, d.h@3 (gradient), d.W_hh, + - * / ** @, comparisons,
                           and or not, X[r,c], X.T .shape .size .ndim; norm absmax mean std sum min max any all
                           abs exp log sqrt tanh sat(X, limit) frac(condition) has_nan has_inf nonfinite"""
