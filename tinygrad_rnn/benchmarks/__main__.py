"""The process that does one job, `python -m tinygrad_rnn.benchmarks JOB`, and prints JSON."""

import json
import sys

from ..errors import TinygradError
from .jobs import KINDS, Job, pin


def say(**message: object) -> None:
    """One line to the process that asked."""
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Measure, and say how it goes, then what came of it."""
    pin()
    job = Job.load(sys.argv[1])
    try:
        say(result=KINDS[job.kind](job, lambda: say(tick=1)))
    except TinygradError as error:
        say(error=str(error))


if __name__ == "__main__":
    main()
