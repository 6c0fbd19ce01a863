"""The website: it builds from the stored outputs without a warning, and loads nothing from another
host. What its tables name, there is.
"""

import html
import inspect
import re
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from dpo_from_scratch import world

ROOT = Path(__file__).parent.parent
NOTEBOOKS, WEBSITE = ROOT / "notebooks", ROOT / "website"
PAGES = sorted(NOTEBOOKS.glob("*.ipynb"))
CHAPTERS = sorted(NOTEBOOKS.glob("[0-9]*.ipynb"))  # the others are guides, without exercises
sys.path.insert(0, str(WEBSITE))
front = import_module("front")
pytest.importorskip("sphinx")
BeautifulSoup = pytest.importorskip("bs4").BeautifulSoup
pdf = import_module("pdf")


def test_nothing_is_loaded_from_another_host(site):
    for page in site.glob("*.html"):
        for tag in re.findall(r"<(?:script|img|link)\b[^>]*>", page.read_text(encoding="utf-8")):
            source = re.search(r'(?:src|href)="(https?:)?//[^"]*"', tag)
            assert source is None or 'rel="canonical"' in tag, f"{page.name}: {tag}"
    assert (site / "_static" / "mathjax" / "MathJax.js").is_file()
    assert (site / "_static" / "book.css").is_file()


@pytest.mark.parametrize("name", [p.stem for p in PAGES])
def test_every_chapter_has_a_page_with_maths_alt_texts_and_a_colab_link(site, name):
    page = (site / f"{name}.html").read_text(encoding="utf-8")
    assert 'class="math notranslate nohighlight"' in page
    assert f"notebooks/{name}.ipynb" in page
    assert "colab.research.google.com" in page
    pictures = [tag for tag in re.findall(r"<img\b[^>]*>", page) if "_images" in tag]
    assert pictures
    for tag in pictures:
        assert len(re.search(r'alt="([^"]*)"', tag)[1]) > 40, tag
    # solutions are folded
    assert ("Show the solution" in page) == (name not in front.GUIDES)
    assert (site / "searchindex.js").is_file()


def test_a_slider_moves_without_a_kernel_and_its_picture_is_there_once(site):
    for path in CHAPTERS:
        sliders = path.read_text(encoding="utf-8").count('"slider": {')
        page = (site / f"{path.stem}.html").read_text(encoding="utf-8")
        found = re.findall(r'<figure class="frames"[^>]*>\s*<img alt="([^"]*)"', page)
        assert len(found) == sliders, path.stem
        assert all(len(alt) > 40 for alt in found)
        if sliders:
            assert "_static/slider.js" in page


def test_the_index_leads_to_every_chapter(site):
    index = (site / "index.html").read_text(encoding="utf-8")
    for path in PAGES:
        assert f'href="{path.stem}.html"' in index


def test_the_first_page_has_the_parts_what_each_chapter_is_about_and_a_picture(site):
    index = (site / "index.html").read_text(encoding="utf-8")
    text = html.unescape(re.sub(r"<[^>]+>", "", index)).replace("’", "'").replace("“", '"')
    for part in ("The idea, exactly", "Train it", "The family", "For real"):
        assert len(re.findall(rf"<h3>Part [IV]+\. {part}", index)) == 1
    assert len(front.CHAPTERS) == len(CHAPTERS)
    assert sorted(front.GUIDES) == [path.stem for path in PAGES if path not in CHAPTERS]
    for *_, title, words in [*front.CHAPTERS.values(), *front.GUIDES.values()]:
        assert f"{title}: {words}" in text
    assert len(re.search(r'<img src="_static/frontier.svg"[^>]* alt="([^"]*)"', index)[1]) > 100
    assert "<!--" not in index[index.index("<article") : index.index("</article>")]
    assert (site / "_static" / "frontier.svg").stat().st_size < 60_000


def test_the_stored_picture_is_what_the_record_draws(tmp_path):
    front.draw(tmp_path / "frontier.svg")
    stored, drawn = (
        (folder / "frontier.svg").read_text(encoding="utf-8")
        for folder in (WEBSITE / "_static", tmp_path)
    )
    numbers = [np.array(re.findall(r"-?\d+\.\d+", text), float) for text in (stored, drawn)]
    assert np.allclose(*numbers, atol=0.01), "draw it anew: python website/front.py"


def test_the_words_beside_the_first_page_s_picture_fit_its_numbers():
    runs = front.runs()
    assert len(runs) == 24
    far, best = max(runs, key=lambda run: run[1]), max(runs, key=lambda run: run[2])
    assert far[1:] == pytest.approx((25, -0.8), abs=0.5)
    assert best[2] == pytest.approx(3, abs=0.2)
    start = world.REVIEWS.policy(world.prompts()[0]).mean_reward
    assert far[2] < start < min(reward for beta, _, reward in runs if beta > 0.1)
    line = world.REVIEWS.frontier(np.geomspace(0.015, 8, 60))
    line = np.array(sorted((g["kl"], g["mean_reward"]) for g in line))
    won = {}  # beta -> shares of what could be won at a run's distance
    for beta, kl, reward in runs:
        won.setdefault(beta, []).append((reward - start) / (np.interp(kl, *line.T) - start))
    assert max(map(max, won.values())) < 1  # none is above the frontier
    assert np.mean([won[beta] for beta in won if beta > 0.2]) == pytest.approx(0.85, abs=0.01)
    assert min(min(won[beta]) for beta in won if beta > 0.2) > 0.75
    assert max(won[0.1] + won[0.05]) < 0.5


def test_every_page_says_what_it_is_about_and_can_be_copied_and_edited(site):
    for path in PAGES:
        page = (site / f"{path.stem}.html").read_text(encoding="utf-8")
        told = html.unescape(re.findall(r'<meta name="description" content="(.*?)"', page)[-1])
        *_, words = front.GUIDES.get(path.stem) or front.CHAPTERS[path.name[:2]]
        assert words.startswith(told.split(": ", 1)[1][:20])
        assert f"/edit/main/notebooks/{path.name}" in page
        assert "/issues/new" in page
        assert not re.search(r"<th[^>]*>\s*(<p>\s*</p>)?\s*</th>", page)
        assert "copybutton.js" in page
        assert 'rel="icon" href="_static/favicon.svg"' in page
        assert (
            '<header id="pst-header" class="bd-header" hidden>' in page
        )  # the theme's script measures it


def test_programs_find_every_chapter_in_llms_txt(site):
    text = (site / "llms.txt").read_text(encoding="utf-8")
    assert text.startswith("# DPO from Scratch\n\nThe notebook textbook of Direct Preference")
    listed = re.findall(r"^- \[\d\d\. .+\]\((\w+)\.html\): .{20,}$", text, re.M)
    assert listed == [path.stem for path in CHAPTERS]
    assert re.findall(r"^- \[.+\]\(([a-z]\w+)\.html\): .{20,}$", text, re.M) == list(front.GUIDES)


def test_the_book_as_one_document_has_every_page_open_and_links_that_lead_somewhere(site):
    text, lines = pdf.document(site)
    book = BeautifulSoup(text, "html.parser")
    names = [tag["id"] for tag in book.select("[id]")]
    assert len(names) == len(set(names))
    links = [link["href"] for link in book.select("a[href]")]
    assert {link[1:] for link in links if link.startswith("#")} <= set(names)
    assert {link for link in links if not link.startswith(("#", "https://"))} == set()
    teaching = [p for kind in ("ipynb", "md") for p in NOTEBOOKS.glob(f"teaching/*.{kind}")]
    pages = [*PAGES, *NOTEBOOKS.glob("*.md"), *teaching]
    shown = {page.relative_to(NOTEBOOKS).with_suffix(".html").as_posix() for page in pages}
    assert shown == {text["id"] for text in book.select("article")}
    assert {name for depth, _, name in lines if depth == 1} == shown - {"index.html"}
    assert not book.select("details:not([open]), button, a.headerlink")
    for picture in book.select("img"):
        assert picture["src"].startswith("data:") or (site / picture["src"]).is_file()


def rows(page: str) -> list[list[str]]:
    """The cells of a page's tables, without their heads."""
    lines = (NOTEBOOKS / f"{page}.md").read_text(encoding="utf-8").splitlines()
    table = [line for line in lines if line.startswith("|")]
    heads = [i for i, line in enumerate(table) if set(line) <= set("|- ")]
    table = [line for i, line in enumerate(table) if i not in heads and i + 1 not in heads]
    return [[cell.strip() for cell in line.strip("|").split(" |")] for line in table]


def exists(name: str) -> bool:
    """Whether dpo_from_scratch.NAME is a thing of a module, or a member of one."""
    *modules, last = name.split(".")
    for n in range(len(modules), 0, -1):
        try:
            thing = import_module(".".join(["dpo_from_scratch", *modules[:n]]))
        except ModuleNotFoundError:
            continue
        for member in [*modules[n:], last]:
            if not hasattr(thing, member):  # what only an object has stands in its class's source
                field = rf"^    {member}: |\bself\.{member} = "
                return inspect.isclass(thing) and bool(
                    re.search(field, inspect.getsource(thing), re.M)
                )
            thing = getattr(thing, member)
        return True
    return False


@pytest.mark.parametrize("page", ["equations", "notation"])
def test_the_functions_that_a_table_names_exist(page):
    text = (NOTEBOOKS / f"{page}.md").read_text(encoding="utf-8")
    names = re.findall(r"`(?:dpo_from_scratch\.)?([a-z_]+(?:\.\w+)+)`", text)
    assert len(names) > (25 if page == "equations" else 2)
    assert [name for name in names if not exists(name)] == []


def test_a_name_that_is_not_there_is_noticed():
    assert exists("losses.dpo")
    assert exists("exact.Gibbs.log_Z")
    assert exists("world.Policy.kl")
    assert exists("lab.evaluation.gap_to_grammar")
    for name in ("losses.dp", "evaluation.log_ratios", "exact.Gibbs.log_z", "lab.evaluation.gap"):
        assert not exists(name), name


def test_every_equation_has_a_source_a_chapter_and_a_place_that_computes_it():
    for equation, source, chapter, place in rows("equations"):
        assert source, equation
        assert re.fullmatch(r"\[\d\d\](, \[\d\d\])*", chapter), equation
        link = re.search(r"\]\((\d\d\w+\.ipynb)#([\w-]+)\)", place)
        assert link or re.search(r"`[a-z_]+\.\w+", place), equation
        if link:
            titles = re.findall(r'"#+ (.*?)(?:\\n)?"', (NOTEBOOKS / link[1]).read_text("utf-8"))
            assert link[2] in [re.sub(r"\W+", "-", t.lower()).strip("-") for t in titles], link[0]
