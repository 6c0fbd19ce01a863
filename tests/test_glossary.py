"""The glossary: each chapter links it, and what it and they link is there."""

import re

import pytest
from cells import NOTEBOOKS, source

from dpo_from_scratch.lab import editions

TEXT = (NOTEBOOKS / "glossary.md").read_text(encoding="utf-8")
CHAPTERS = sorted(NOTEBOOKS.glob("*.ipynb"))
LINK = re.compile(r"\]\(glossary\.md#([^)]+)\)")


def slug(heading: str) -> str:
    """A heading's anchor, as GitHub and MyST make it."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def words(path) -> str:
    cells = editions.read(path)["cells"]
    return "\n".join(source(cell) for cell in cells if cell["cell_type"] == "markdown")


ENTRIES = [slug(line) for line in re.findall(r"^### (.+)$", TEXT, re.M)]


def test_each_word_stands_once_and_leads_to_a_section_that_is_there():
    assert len(ENTRIES) == len(set(ENTRIES)) > 40
    for part in TEXT.split("\n### ")[1:]:
        (found,) = re.findall(r"\]\((\w+\.ipynb)#([^)]+)\)", part)
        heads = re.findall(r"^#+ (.+)$", words(NOTEBOOKS / found[0]), re.M)
        assert found[1] in map(slug, heads), part
        assert len(part.split()) <= 60


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem)
def test_each_chapter_links_words_once_where_it_first_needs_them(path):
    linked = LINK.findall(words(path))
    assert len(linked) >= 3
    assert len(linked) == len(set(linked))
    assert set(linked) <= set(ENTRIES)


def test_the_kit_has_the_page():
    assert "glossary.md" in editions.PAGES
