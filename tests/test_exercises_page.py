"""The page of the exercises has the question of each, by chapter.

Run as a script, this writes the page anew: `python tests/test_exercises_page.py`.
"""

from itertools import groupby
from pathlib import Path

from tinygrad_rnn.exercises import EXERCISES

DOCS = Path(__file__).parents[1] / "docs"
PAGE = DOCS / "exercises.md"
HEAD = """\
# Exercises

{count} exercises, from two to six a chapter. You write an answer to a file, and a command runs it
and says whether it is right, or what it saw instead. Most answers are Python, `answer.py`; those
about the debugger are files of its commands, `answer.tgdb`.

```console
$ tinygrad-rnn exercise
$ tinygrad-rnn exercise one-hot
```

The first command lists all of them, the second shows a question.
`tinygrad-rnn exercise one-hot answer.py` checks an answer; `--hint` shows the hints, `--solution` a
solution. The command exits with 1 while the answer is not right, so that a script can mark a class.
"""


def chapter_of(number):
    """A chapter's page and title."""
    (page,) = DOCS.glob(f"{number:02}_*.md")
    return page.name, page.read_text("utf-8").partition("\n")[0].removeprefix("# ")


def written():
    parts = [HEAD.format(count=len(EXERCISES))]
    for number, own in groupby(EXERCISES.values(), key=lambda exercise: exercise.chapter):
        page, title = chapter_of(number)
        parts.append(f"## Chapter {number}: [{title}]({page})\n")
        for exercise in own:
            answer = f"`{exercise.name} answer{exercise.suffix}`"
            parts.append(f"**{exercise.title}.** {answer}\n".replace("?.**", "?**"))
            parts.append(exercise.question.strip("\n") + "\n")
    return "\n".join(parts)


def test_the_page_has_every_question():
    assert PAGE.read_text("utf-8") == written()


if __name__ == "__main__":
    PAGE.write_text(written(), "utf-8")
