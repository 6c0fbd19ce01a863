"""Bring stored notebooks into the form that tests/test_notebooks.py asks for.

`python tests/tidy_notebooks.py`, after executing them, and after a change of the version: the setup
cell of every chapter installs the tag of the version that it was written for. A chapter that was
just executed gets the digests of the records that its cells read, so that a test can tell when a
record has changed since.
"""

import ast
import hashlib
import re
from pathlib import Path

import nbformat

from dpo_from_scratch import __version__

WIDGET = "application/vnd.jupyter.widget-view+json"
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def joined(outputs: list) -> list:
    """What was printed in pieces, since the machine was busy, as one output."""
    out = []
    for output in outputs:
        streams = out and output.output_type == out[-1].output_type == "stream"
        if streams and output.name == out[-1].name:
            out[-1].text += output.text
        else:
            out.append(output)
    return out


ROOT = Path(__file__).parent.parent
HERE = ROOT / "notebooks"


def records_read(cells: list) -> dict[str, str]:
    """Record -> the first digits of its file's SHA-256, for each that these cells load.

    A name that is no literal may be any text of its cell. ValueError if that is none of a record.
    """
    folders = ROOT / "data" / "results", ROOT / "benchmarks" / "results"
    paths = {path.stem: path for folder in folders for path in folder.glob("*.json")}
    found = {}
    for cell in cells:
        code = cell["source"] if isinstance(cell["source"], str) else "".join(cell["source"])
        if cell["cell_type"] != "code" or not re.search(r"Record\.load\(|benchmark\(", code):
            continue
        nodes = list(ast.walk(ast.parse(code)))
        calls = [n for n in nodes if isinstance(n, ast.Call)]
        asked = [n.args[0] for n in calls if ast.unparse(n.func) in ("Record.load", "benchmark")]
        texts = asked if all(isinstance(n, ast.Constant) for n in asked) else nodes
        names = {n.value for n in texts if isinstance(n, ast.Constant)} & paths.keys()
        if asked and not names:
            raise ValueError(f"no record of this name: {code}")
        for name in names:  # as text, since a checkout on Windows has other line ends
            text = paths[name].read_text(encoding="utf-8")
            found[name] = hashlib.sha256(text.encode()).hexdigest()[:12]
    return dict(sorted(found.items()))


def tidy(path: Path) -> None:
    """Rewrite a notebook in place."""
    book = nbformat.read(path, as_version=4)
    read = book.metadata.get("records", {})
    # nbclient notes the times of an execution, and the loop below takes them out
    if any("execution" in cell.metadata for cell in book.cells):
        read = records_read(book.cells)
    book.metadata = nbformat.from_dict(METADATA | ({"records": read} if read else {}))
    for cell in book.cells:
        cell.metadata.pop("execution", None)
        if "solution" in cell.metadata.get("tags", []):
            cell.metadata["cellView"] = "form"  # so Colab folds it; the others read "jupyter"
        if "%pip install" in cell.source:
            tag = rf"\1@v{__version__}"
            cell.source = re.sub(r'("git\+https://[^@"]+)(@v[^"]+)?(?=")', tag, cell.source)
        # a stored widget has no kernel: its static twin is what readers see, and a bar has none
        for output in list(cell.get("outputs", [])):
            data = output.get("data", {})
            if data.pop(WIDGET, None) and data.keys() <= {"text/plain"}:
                cell.outputs.remove(output)
        if cell.cell_type == "code":
            cell.outputs = joined(cell.outputs)
    nbformat.write(book, path)
    print("tidy:", path.name)


if __name__ == "__main__":
    for path in sorted([*HERE.glob("*.ipynb"), *HERE.glob("teaching/*.ipynb")]):
        tidy(path)
