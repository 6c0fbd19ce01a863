"""Colab has ipywidgets 7.7.1: the chapters with widgets run there up to their last widget, in an
environment of its own. (`make colab-check` runs all chapters with all of Colab's versions.)
"""

import os
import subprocess
from pathlib import Path

import pytest
from run_as_in_colab import SHOWS, listed

ROOT = Path(__file__).parent.parent
PYTHON = ROOT / ".venv" / "ipywidgets7" / "bin" / "python"
CHAPTERS = [
    p
    for p in sorted((ROOT / "notebooks").glob("*.ipynb"))
    if any(s in p.read_text(encoding="utf-8") for s in SHOWS)
]

RUN = """
import pathlib, sys
import ipywidgets, run_as_in_colab, torch

assert ipywidgets.__version__ == run_as_in_colab.listed()["ipywidgets"], ipywidgets.__version__
sys.exit(run_as_in_colab.to_the_last_widget(pathlib.Path(sys.argv[1])) or 0)
"""


def test_the_list_is_of_a_colab_with_the_old_widgets():
    assert listed()["ipywidgets"] == "7.7.1"


@pytest.mark.slow
@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda p: p.stem)
def test_a_chapter_with_widgets_runs_with_ipywidgets_7(chapter, tmp_path):
    if not PYTHON.exists():
        pytest.skip("`make test` sets this environment up")
    first = {"PATH": PYTHON.parent, "PYTHONPATH": Path(__file__).parent}
    own = {k: os.pathsep.join([str(v), os.environ.get(k, "")]) for k, v in first.items()}
    command = [PYTHON, "-c", RUN, chapter]
    told = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path, env=os.environ | own, timeout=400
    )
    assert told.returncode == 0, told.stderr[-3000:]
