"""Bring stored notebooks into the form that tests/test_notebooks.py asks for.

`python tests/tidy_notebooks.py`, after executing them, and after a change of the version: the setup
cell of every chapter installs the tag of the version that it was written for.
"""

import re
from pathlib import Path

import nbformat

from dpo_from_scratch import __version__

WIDGET = "application/vnd.jupyter.widget-view+json"
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}

HERE = Path(__file__).parent.parent / "notebooks"

for path in sorted([*HERE.glob("*.ipynb"), *HERE.glob("teaching/*.ipynb")]):
    book = nbformat.read(path, as_version=4)
    book.metadata = nbformat.from_dict(METADATA)
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
    nbformat.write(book, path)
    print("tidy:", path.name)
