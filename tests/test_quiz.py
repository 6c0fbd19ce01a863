"""The quiz: each question is refuted by a cell that is there, and what is made of it is equal."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest
from cells import cells_of, missing, source
from conftest import script

from dpo_from_scratch.lab import editions, exercises
from dpo_from_scratch.lab.exercises import quiz

ROOT = Path(__file__).parent.parent
NOTEBOOKS = ROOT / "notebooks"
maker = script(ROOT / "website" / "quiz.py")
NUMBERED = [pytest.param(n, q, id=f"Q.{n}") for n, q in quiz.numbered()]


def test_forty_questions_those_that_were_seen_first_and_no_letter_is_a_good_guess():
    found = quiz.questions()
    seen = [q.get("seen", False) for q in found]
    assert len(found) == 40
    assert seen == sorted(seen, reverse=True)
    assert sum(seen) == 7
    assert len({q["about"] for q in found}) == len({q["ask"] for q in found}) == 40
    rights = Counter(exercises.find(f"Q.{n}").own for n, _ in quiz.numbered())
    assert rights.keys() == set(quiz.LETTERS)
    assert max(rights.values()) <= 13


def test_the_length_of_an_answer_does_not_give_it_away():
    """By chance the right one is the longest of four in ten questions, the shortest in ten."""
    told = [(len(q["right"]), [len(w["says"]) for w in q["wrong"]]) for q in quiz.questions()]
    assert 5 <= sum(right >= max(wrong) for right, wrong in told) <= 15
    assert 5 <= sum(right <= min(wrong) for right, wrong in told) <= 15


@pytest.mark.parametrize(("number", "question"), NUMBERED)
def test_the_cells_are_there_in_the_section_that_is_named(number, question):
    cells = cells_of(question["where"])
    ids = [cell["id"] for cell in cells]
    assert set(question["cells"]) <= set(ids)
    upto = cells[: ids.index(question["cells"][0]) + 1]
    heads = [
        line.lstrip("# ")
        for cell in upto
        if cell["cell_type"] == "markdown"
        for line in source(cell).splitlines()
        if re.match(r"#+ ", line) and (cell is not upto[-1] or source(cell).startswith(line))
    ]
    assert heads[-1] == question["section"]


@pytest.mark.parametrize(("number", "question"), NUMBERED)
def test_every_number_stands_in_one_of_the_cells(number, question):
    told = [question[key] for key in ("ask", "right", "because")]
    told += [w["why"] for w in question["wrong"]]
    assert not missing(told, question["where"], question["cells"]), question["about"]


@pytest.mark.parametrize(("number", "question"), NUMBERED)
def test_it_is_plain_text_of_a_length_that_can_be_read(number, question):
    options = [question["right"], *(w["says"] for w in question["wrong"])]
    assert len(options) == len(set(options)) == len(quiz.LETTERS)
    for text in [question["ask"], *options, *(w["why"] for w in question["wrong"])]:
        assert not re.search(r"[$`*<>\\]", text.replace("p < ", ""))
        assert 2 <= len(text.split()) <= 45, text
        assert text[-1] in ".?", text


# ---------------------------------------------------------------- what is made of it
def test_the_stored_notebook_is_the_one_that_is_made_and_says_not_tried_yet():
    stored = editions.read(NOTEBOOKS / "teaching" / "quiz.ipynb")
    assert editions.plain(stored) == maker.notebook()
    attempts = [c for c in stored["cells"] if "attempt" in editions.tags(c)]
    told = ["".join("".join(output["text"]) for output in c["outputs"]) for c in attempts]
    assert told == [f"Q.{n}: not tried yet.\n" for n, _ in quiz.numbered()]


def test_with_the_right_letters_every_cell_says_right(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("DPO_PROGRESS", str(tmp_path / "solved.json"))
    book = editions.solved(editions.student(maker.notebook()))
    space = {"exercises": exercises}
    for cell in book["cells"]:
        if "attempt" in editions.tags(cell):
            exec(source(cell), space)
    told = capsys.readouterr().out.splitlines()
    assert len(told) == 40
    assert all(re.match(r"Q\.\d+: right\. .+\(Shown in .+\.\)$", line) for line in told)
    assert len(json.loads((tmp_path / "solved.json").read_text())) == 40


# One question: ::title::text {answers}, an answer =right#reason or ~wrong#reason; signs of the
# format that belong to the words stand behind a backslash.
PART = r"(?:\\.|[^\\~=#{}:])+"
QUESTION = re.compile(rf"::({PART})::({PART})\{{((?:\s*[=~]{PART}#{PART})+)\}}\s*")
ANSWER = re.compile(rf"\s*([=~])({PART})#({PART})")
words = lambda text: re.sub(r"\\(.)", r"\1", text).strip()


def parsed(text: str) -> list[dict]:
    """A GIFT file's questions. ValueError where it can't be read."""
    found, at = [], re.match(r"//.*\n\$CATEGORY: .+\n\s*", text).end()
    while at < len(text):
        if not (part := QUESTION.match(text, at)):
            raise ValueError(text[at : at + 60])
        answers = [(sign, words(a), words(why)) for sign, a, why in ANSWER.findall(part[3])]
        found.append({"title": words(part[1]), "ask": words(part[2]), "answers": answers})
        at = part.end()
    return found


def test_the_file_for_moodle_is_the_one_that_is_made_and_can_be_read_back():
    text = (NOTEBOOKS / "teaching" / "quiz.gift").read_text(encoding="utf-8")
    assert text == maker.gift()
    found = parsed(text)
    assert len(found) == 40
    for (number, question), read in zip(quiz.numbered(), found, strict=True):
        assert read["ask"] == question["ask"]
        assert question["about"] in read["title"]
        told = quiz.answers(number, question)
        assert [(sign == "=", says) for sign, says, _ in read["answers"]] == [
            (not why, says) for says, why in told
        ]
        for (_, why), (_, _, reason) in zip(told, read["answers"], strict=True):
            assert (why or question["because"])[1:] in reason
            assert question["section"] in reason


def test_a_file_that_is_no_gift_is_noticed():
    with pytest.raises(ValueError):
        parsed("// x\n$CATEGORY: y\n\n::a::b {=c#d ~e}\n")
