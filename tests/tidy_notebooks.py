"""Bring stored notebooks into the form that tests/test_notebooks.py asks for: `python tests/tidy_notebooks.py`, after executing."""

from pathlib import Path

import nbformat

WIDGET = "application/vnd.jupyter.widget-view+json"
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}

for path in sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb")):
    book = nbformat.read(path, as_version=4)
    book.metadata = nbformat.from_dict(METADATA)
    for cell in book.cells:
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", []):  # a stored widget has no kernel: its static twin is what readers see
            output.get("data", {}).pop(WIDGET, None)
    nbformat.write(book, path)
    print("tidy:", path.name)
