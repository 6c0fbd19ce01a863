"""Where a sentence sends its reader to a chapter, or to a section of one, there is such a place."""

import json
import re
from pathlib import Path

import pytest

from dpo_from_scratch import doctor
from dpo_from_scratch.doctor.findings import chapter_of

ROOT = Path(__file__).parent.parent
NOTEBOOKS = {int(p.name[:2]): p for p in sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))}
TEXTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "data" / "README.md"]
TEXTS += sorted((ROOT / "notebooks").glob("*.md"))
TEXTS += sorted((ROOT / "data" / "gallery").rglob("*.py"))
TEXTS += sorted((ROOT / "dpo_from_scratch").rglob("*.py"))


def cells(path):
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


def prose(number):
    """The Markdown of a chapter."""
    kept = [c for c in cells(NOTEBOOKS[number]) if c["cell_type"] == "markdown"]
    return "\n".join("".join(c["source"]) for c in kept)


def headings(number):
    """The titles of a chapter's sections."""
    return set(re.findall(r"^##+ (.+?)\s*$", prose(number), re.M))


def anchors(number):
    """Sections as addresses name them: small letters, hyphens."""
    plain = (re.sub(r"[^\w\s-]", "", title.lower()) for title in headings(number))
    return {re.sub(r"\s+", "-", title.strip()) for title in plain}


@pytest.mark.parametrize("code", doctor.CAUSES)
def test_a_cause_points_to_a_section_that_is_there(code):
    _, section = doctor.CAUSES[code]
    assert section in headings(chapter_of(section)), code


def test_a_finding_names_the_chapter_of_its_section():
    said = {code: str(doctor.Finding(code, "")) for code in ("left_padding", "displacement")}
    assert said["left_padding"].endswith('[chapter 22, "Tokens and masks"]')
    assert "[chapter 09, " in said["displacement"]


@pytest.mark.parametrize("path", TEXTS, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_text_names_chapters_that_are_there(path):
    named = {int(n) for n in re.findall(r"[Cc]hapter (\d\d)", path.read_text(encoding="utf-8"))}
    assert named <= NOTEBOOKS.keys()


def test_the_readme_lists_every_chapter_by_its_title():
    listed = re.findall(
        r"^\| \[(\d\d)\]\(notebooks/(.+?)\) \| (.+?) \|",
        (ROOT / "README.md").read_text(encoding="utf-8"),
        re.M,
    )
    assert [int(number) for number, *_ in listed] == list(NOTEBOOKS)
    for number, file, title in listed:
        assert NOTEBOOKS[int(number)].name == file
        assert re.match(f"# {re.escape(title)}[:,\n]", prose(int(number)))


@pytest.mark.parametrize("number", NOTEBOOKS)
def test_a_chapter_links_to_the_chapter_that_it_names(number):
    for shown, file in re.findall(r"\[[Cc]hapter (\d\d)\]\((\d\d_\w+\.ipynb)", prose(number)):
        assert NOTEBOOKS[int(shown)].name == file
    for shown, title in re.findall(
        r"[Cc]hapter (\d\d)(?:\]\([^)]*\))?, [\"“](.+?)[\"”]", prose(number)
    ):
        assert title in headings(int(shown)), f"chapter {shown} has no section {title}"


@pytest.mark.parametrize("path", [p for p in TEXTS if p.suffix == ".md"], ids=lambda p: p.name)
def test_an_address_of_a_section_leads_to_it(path):
    text = path.read_text(encoding="utf-8")
    for file, anchor in re.findall(r"\]\([\w./]*?(\d\d_\w+\.ipynb)#([\w-]+)\)", text):
        assert anchor in anchors(int(file[:2])), f"{file}#{anchor}"
