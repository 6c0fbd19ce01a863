"""The website: it builds from the stored outputs without a warning, and loads nothing from another host."""

import inspect
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
pytest.importorskip("sphinx")
MODULES = "evaluation|exact|logprobs|losses|rlhf|training|world"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-q", "-n", "-W", "--keep-going", "-d", out / "doctrees", NOTEBOOKS, out / "html"]
    found = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert found.returncode == 0, found.stderr
    return out / "html"


def test_nothing_is_loaded_from_another_host(site):
    for page in site.glob("*.html"):
        for tag in re.findall(r"<(?:script|img|link)\b[^>]*>", page.read_text(encoding="utf-8")):
            source = re.search(r'(?:src|href)="(https?:)?//[^"]*"', tag)
            assert source is None or 'rel="canonical"' in tag, f"{page.name}: {tag}"
    assert (site / "_static" / "mathjax" / "MathJax.js").is_file()


@pytest.mark.parametrize("name", sorted(p.stem for p in NOTEBOOKS.glob("*.ipynb")))
def test_every_chapter_has_a_page_with_maths_alt_texts_and_a_colab_link(site, name):
    page = (site / f"{name}.html").read_text(encoding="utf-8")
    assert 'class="math notranslate nohighlight"' in page
    assert f"notebooks/{name}.ipynb" in page
    assert "colab.research.google.com" in page
    pictures = [tag for tag in re.findall(r"<img\b[^>]*>", page) if "_images" in tag]
    assert pictures
    for tag in pictures:
        assert len(re.search(r'alt="([^"]*)"', tag)[1]) > 40, tag
    assert "Show the solution" in page  # solutions are folded
    assert (site / "searchindex.js").is_file()


def test_the_index_leads_to_every_chapter(site):
    index = (site / "index.html").read_text(encoding="utf-8")
    for path in NOTEBOOKS.glob("*.ipynb"):
        assert f'href="{path.stem}.html"' in index


@pytest.mark.parametrize("page", ["equations", "notation"])
def test_the_functions_that_a_table_names_exist(page):
    names = re.findall(rf"`({MODULES})\.(\w+)(?:\.(\w+))?`", (NOTEBOOKS / f"{page}.md").read_text(encoding="utf-8"))
    assert names
    for module, name, member in names:
        thing = getattr(import_module(f"dpo_from_scratch.{module}"), name)
        assert not member or re.search(rf"\b{member}\b", inspect.getsource(thing)), f"{name}.{member}"
