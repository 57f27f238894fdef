"""Chapters as notebooks: their Python runs when the site is built, and each can be downloaded.

A chapter is plain Markdown with blocks of Python. Here these become the cells of a notebook:
MyST-NB runs them and shows what they print or draw, and the reader downloads the same notebook.
"""

import re
from pathlib import Path

import nbformat
from sphinx.application import Sphinx

_HEADER = """---
file_format: mystnb
kernelspec:
  name: python3
---

"""
_CELL = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"# (\w+\.py)\n")
_PICTURE = re.compile(r"!\[([^\]]*)\]\((?!http)[^)]+\)")
_LINK = re.compile(r"\[([^\]]*)\]\((?!http)[^)]+\)")
_KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}


def is_chapter(name: str) -> bool:
    """Whether a page is a chapter, whose Python is run: a numbered one, or the questions."""
    return name == "questions" or re.match(r"\d\d_", name) is not None


def notebook_of(markdown: str) -> nbformat.NotebookNode:
    """The notebook of a chapter: its text, and its Python as cells.

    A link within the site leads nowhere from a reader's disk, so that only its words are kept.
    """
    text = _LINK.sub(r"\1", _PICTURE.sub("", markdown))
    cells = []
    end = 0
    for block in _CELL.finditer(text):
        cells.append(nbformat.v4.new_markdown_cell(text[end : block.start()].strip()))
        cells += [nbformat.v4.new_code_cell(code) for code in _codes(block)]
        end = block.end()
    cells.append(nbformat.v4.new_markdown_cell(text[end:].strip()))
    kept = [cell for cell in cells if cell.source]
    for number, cell in enumerate(kept):
        cell.id = f"cell-{number}"  # else random, and no two builds would be alike
    return nbformat.v4.new_notebook(cells=kept, metadata={"kernelspec": _KERNEL})


def _codes(block: re.Match[str]) -> list[str]:
    """The code of a block, one text for each cell that it becomes.

    A block whose first line is `# train.py` is a script, which later blocks and commands read.
    """
    code = block[1].rstrip()
    file = _FILE.match(code)
    if file is None:
        return [code]
    return [f"%%writefile {file[1]}\n{code.removeprefix(file[0])}", f"%run {file[1]}"]


def _cells(block: re.Match[str]) -> str:
    return "\n".join(f"```{{code-cell}} ipython3\n{code}\n```\n" for code in _codes(block))


def _as_cells(app: Sphinx, name: str, source: list[str]) -> None:
    if not is_chapter(name):
        return
    title, _, rest = source[0].partition("\n")
    if name[0].isdigit():
        title = title.replace("# ", f"# {int(name[:2])}. ", 1)
    folder = Path(app.outdir, "_downloads")
    folder.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook_of(source[0]), folder / f"{name}.ipynb")
    link = f'<a href="_downloads/{name}.ipynb" download>This chapter as a notebook</a>'
    download = f'<p class="download">{link}</p>'
    body = _CELL.sub(_cells, rest)
    source[0] = f"{_HEADER}{title}\n\n{download}\n{body}"


def _readme(app: Sphinx, name: str, source: list[str]) -> None:
    """The page `readme` is the README, whose links start one folder above."""
    if name == "readme":
        text = Path(app.srcdir, "..", "README.md").read_text("utf-8")
        source[0] = re.sub(r"\]\((?!http)", "](../", text).replace("](../docs/", "](")


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("source-read", _as_cells)
    app.connect("source-read", _readme)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
