"""A real terminal: a pseudo-terminal that a program runs in, and a screen of what it writes."""

import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from fcntl import ioctl

import pyte

PATIENCE = 60.0  # seconds to wait for what must come, on a machine with other things to do
# A session leader that opens a terminal has it as its own, so that Ctrl-C reaches it; nothing is
# forked by threads.
_INSIDE = 'exec "$@" <"$TERMINAL" >"$TERMINAL" 2>"${ERRORS:-$TERMINAL}"'
_MODE = re.compile(rb"\x1b\[\?([\d;]+)([hl])")
_AT_REST = {b"25": b"h", b"7": b"h"}  # the cursor is seen, long lines wrap; all other modes are off
_ALTERNATE = b"1049"


class Terminal:
    """A command in a terminal of `columns` by `rows`.

    Args:
        words: the command and its arguments.
        errors: a file for its stderr, in place of the terminal.
        environment: variables to set, or with None to leave out.
    """

    def __init__(self, *words, columns=100, rows=30, errors=None, **environment):
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)
        self._modes = {}
        self.written = b""
        # Theirs is kept: its settings are looked at in the end.
        self._ends = self._ours, self._theirs = pty.openpty()
        ioctl(self._theirs, termios.TIOCSWINSZ, struct.pack("4H", rows, columns, 0, 0))
        self._settings = termios.tcgetattr(self._theirs)
        given = dict.fromkeys(["COLUMNS", "LINES", "NO_COLOR", "TEXTUAL_DRIVER"])
        given |= {"TERM": "xterm-256color", "TERMINAL": os.ttyname(self._theirs)} | environment
        if errors:
            given["ERRORS"] = str(errors)
        whole = os.environ | given
        self.process = subprocess.Popen(
            ["sh", "-c", _INSIDE, "sh", *map(str, words)],
            env={name: value for name, value in whole.items() if value is not None},
            start_new_session=True,
        )

    @classmethod
    def debugger(cls, *words, **options):
        """`tinygrad-rnn debug` with these arguments."""
        return cls(sys.executable, "-m", "tinygrad_rnn", "debug", *words, **options)

    def __enter__(self):
        return self

    def __exit__(self, *raised):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.hang_up()

    def hang_up(self):
        """Take the terminal away."""
        for end in self._ends:
            os.close(end)
        self._ends = ()

    # Looking

    @property
    def text(self):
        return "\n".join(line.rstrip() for line in self.screen.display)

    def until(self, wanted, gone="\0"):
        """Read until a text is on the screen and another is not, and what is drawn with it."""
        end = time.monotonic() + PATIENCE
        while wanted not in self.text or gone in self.text:
            has_ended = self.process.poll() is not None
            assert self._read(0.1) or not has_ended, f"{wanted!r} never came:\n{self.text}"
            assert time.monotonic() < end, f"{wanted!r} never came:\n{self.text}"
        while self._read(0.05):
            pass

    def ends(self):
        """Read until the program has ended; returns how."""
        end = time.monotonic() + PATIENCE
        while self.process.poll() is None:
            self._read(0.1)
            assert time.monotonic() < end, f"it never ended:\n{self.text}"
        while self._read(0.1):
            pass
        return self.process.returncode

    def _read(self, seconds):
        ready, _, _ = select.select([self._ours], [], [], seconds)
        if not ready:
            return False
        read = os.read(self._ours, 65536)
        self.written += read
        for modes, value in _MODE.findall(read):
            self._modes |= dict.fromkeys(modes.split(b";"), value)
        self._stream.feed(read)
        return True

    @property
    def is_restored(self):
        """Whether the terminal is as it was: settings, cursor, mouse, its first screen."""
        left_on = {mode for mode, value in self._modes.items() if value != _AT_REST.get(mode, b"l")}
        return not left_on and termios.tcgetattr(self._theirs) == self._settings

    @property
    def has_screen(self):
        """Whether the program draws a full screen now."""
        return self._modes.get(_ALTERNATE) == b"h"

    # Acting

    def type(self, text):
        os.write(self._ours, text.encode())

    def resize(self, columns, rows):
        self.screen.resize(rows, columns)
        ioctl(self._theirs, termios.TIOCSWINSZ, struct.pack("4H", rows, columns, 0, 0))

    def signal(self, number=signal.SIGTERM):
        self.process.send_signal(number)
