"""Slides: a deck for each part, whose every word and number is the chapters' own."""

import html
import re
from urllib.parse import unquote

import pytest
from cells import NOTEBOOKS, cells_of, missing, printed
from conftest import script

maker = script(NOTEBOOKS.parent / "website" / "slides.py")
DECKS = maker.decks()
SLIDES = [
    pytest.param(slide, id=f"{deck['file']} {i}")
    for deck in DECKS
    for i, slide in enumerate(deck["slide"], start=1)
]


def test_a_deck_for_each_part_with_every_chapter_in_one():
    assert [deck["file"] for deck in DECKS] == ["part_1", "part_2", "part_3", "part_4"]
    shown = [chapter for deck in DECKS for chapter in maker.chapters_of(deck)]
    assert shown == [path.name[:2] for path in sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))]
    for deck in DECKS:
        assert 12 <= len(deck["slide"]) <= 20
        titles = [slide["title"] for slide in deck["slide"]]
        assert len(set(titles)) == len(titles)


@pytest.mark.parametrize("slide", SLIDES)
def test_what_a_slide_shows_stands_in_the_cell_that_it_names(slide):
    """Each line of a piece, without the marks that set it, stands in the cell as it is stored."""
    for named in slide["show"]:
        chapter, name, take, *_ = named.split()
        (cell,) = (c for c in cells_of(chapter) if c["id"] == name)
        there = maker.words(printed(cell))
        piece = maker.piece(named)
        if take == "figure":
            assert html.escape(cell["metadata"]["alt"]) in piece
            continue
        lines = re.sub(r"</?(pre|code)[^>]*>", "", html.unescape(piece)).splitlines()
        assert [line for line in lines if line.strip()], named
        assert [line for line in lines if line.strip("* ") not in there] == [], named


@pytest.mark.parametrize("slide", SLIDES)
def test_no_number_of_its_own_and_notes_for_the_speaker(slide):
    own = [slide["title"], slide.get("say", "")]
    named = [shown.split()[:2] for shown in slide["show"]]
    assert not missing(own, named[0][0], [name for chapter, name in named])
    told = maker.notes(slide)
    assert len(told.split()) >= 30
    assert not re.search(r"[$\\\\{}]|\]\(", told)
    assert slide["notes"]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The decks as HTML."""
    pytest.importorskip("sphinx_revealjs", reason="part of the extra `book`")
    folder = tmp_path_factory.mktemp("slides")
    maker.build(folder)
    return folder


@pytest.mark.parametrize("deck", DECKS, ids=lambda deck: deck["file"])
def test_a_deck_is_whole_and_loads_nothing_from_elsewhere(built, deck):
    text = (built / f"{deck['file']}.html").read_text(encoding="utf-8")
    asked = [shown.split()[2] for slide in deck["slide"] for shown in slide["show"]]
    assert text.count('<aside class="notes">') == len(deck["slide"])
    assert text.count("<h2>") == len(deck["slide"])
    pictures = re.findall(r'<img class="figure[^>]*alt="([^"]{40,})"[^>]*src="data:image/png', text)
    assert len(pictures) == text.count("<img") == asked.count("figure")
    assert text.count("<pre") == asked.count("code") + asked.count("output")
    assert text.count("<table") == asked.count("table")
    assert text.count('class="math') >= asked.count("math")
    for address in re.findall(r'(?:src|href)="(?!data:|#)([^"]+)"', text):
        assert not re.match(r"\w+:|//", address), address
        assert (built / unquote(re.sub(r"[?#].*", "", address))).exists(), address
    styles = [p.read_text(encoding="utf-8") for p in (built / "_static").glob("slides.css")]
    assert styles
    assert not re.search(r"url\(|@import", styles[0])


def test_notes_are_plain_words():
    assert maker.spoken(
        "The **log** $\\frac{\\pi(y \\mid x)}{\\pi_{\\mathrm{ref}}}$ of [it](a.md)"
    ) == ("The log π(y | x)/π_ref of it")
    assert maker.spoken("# Head\n\n`x` and $\\pi^*$") == "x and π∗"
