"""Colab has ipywidgets 7.7.1: the chapters with widgets run there up to their last widget, in an
environment of its own.
"""

import json
import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PYTHON = ROOT / ".venv" / "ipywidgets7" / "bin" / "python"
SHOWS = ("show_slider(", "page.show()")
CHAPTERS = [
    p
    for p in sorted((ROOT / "notebooks").glob("*.ipynb"))
    if any(s in p.read_text(encoding="utf-8") for s in SHOWS)
]

RUN = """
import json, sys
import ipywidgets, nbformat, torch
from nbclient import NotebookClient

assert ipywidgets.__version__ == "7.7.1", ipywidgets.__version__
book = nbformat.read(sys.argv[1], as_version=4)
shows = json.loads(sys.argv[2])
last = max(i for i, cell in enumerate(book.cells) if any(s in cell.source for s in shows))
book.cells = book.cells[: last + 1]
check = "import ipywidgets, torch; assert ipywidgets.__version__ == '7.7.1'"
book.cells.insert(0, nbformat.v4.new_code_cell(check))
NotebookClient(book, timeout=300, kernel_name="python3").execute()
shown = [o["data"] for c in book.cells for o in c.get("outputs", []) if "data" in o]
views = [data for data in shown if "application/vnd.jupyter.widget-view+json" in data]
print(json.dumps([sorted(data) for data in views]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda p: p.stem)
def test_a_chapter_with_widgets_runs_with_ipywidgets_7(chapter, tmp_path):
    if not PYTHON.exists():
        pytest.skip("`make test` sets this environment up")
    environment = os.environ | {"PATH": f"{PYTHON.parent}{os.pathsep}{os.environ['PATH']}"}
    command = [PYTHON, "-c", RUN, chapter, json.dumps(SHOWS)]
    told = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=400
    )
    assert told.returncode == 0, told.stderr[-3000:]
    views = json.loads(told.stdout)
    assert views, "no widget was shown"
    assert all({"text/plain", "image/png"} <= set(kinds) or "text/html" in kinds for kinds in views)
