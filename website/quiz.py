"""The quiz as a notebook and as a file for Moodle, both from notebooks/teaching/quiz.toml.

`make quiz` writes them. The notebook is executed, so that it is stored as a reader finds it.
"""

import json
import os
import re
from pathlib import Path

import nbformat

from dpo_from_scratch.lab import editions
from dpo_from_scratch.lab.exercises import quiz

TEACHING = Path(__file__).parent.parent / "notebooks" / "teaching"
FIRST = """# The quiz: forty questions on DPO

[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]({colab})

**You will do** forty short questions. The first ones are things that people said after a DPO \
workshop, and that the book shows to be otherwise.
**You will be told** at once why a wrong answer is wrong, and which section of which chapter shows \
it.
**You need** nothing but the chapters. Some seconds to run, an hour to do; ten at a time is a good \
pace.

Write a letter in place of `None`, such as `"b"`, and run the cell. Nothing is sent anywhere.

For a teacher: the same questions are in `quiz.gift`, a file that Moodle reads (Question bank, \
Import, GIFT format). Both are made from `quiz.toml`."""
LAST = """## How did it go?

The row Q shows what you have right, a square a question. A wrong answer costs nothing: the \
section that it names is worth ten minutes."""


def cell(kind: str, number: int, source: str, tags: list[str] | None = None) -> dict:
    """A cell of the notebook; it has no outputs yet."""
    made = {
        "cell_type": kind,
        "id": f"quiz-{number:03d}",
        "metadata": {"tags": tags} if tags else {},
        "source": source.splitlines(keepends=True),
    }
    return made | ({"execution_count": None, "outputs": []} if kind == "code" else {})


def asked(number: int, question: dict) -> str:
    """A question and its answers, a letter each."""
    lines = [
        f"- {letter}: {says}"
        for letter, (says, _) in zip(quiz.LETTERS, quiz.answers(number, question), strict=True)
    ]
    head = f"**{number}. {question['about']}.** {question['ask']}"
    return "\n".join([head, "", *lines])


def attempt(number: int) -> str:
    """The cell for the reader's letter."""
    return f'attempt_{number} = None\nexercises.check("Q.{number}", attempt_{number})'


def notebook() -> dict:
    """The quiz notebook, without outputs."""
    capstone = editions.read(TEACHING / "capstone.ipynb")
    setup, badge = capstone["cells"][1], "".join(capstone["cells"][0]["source"])
    colab = re.search(r"\]\((https://colab\.research\.google\.com/github/\S+)\)", badge)[1]
    cells = [("markdown", FIRST.format(colab=colab.replace("capstone.ipynb", "quiz.ipynb")))]
    cells.append(("code", "".join(setup["source"])))
    cells.append(("code", "from dpo_from_scratch.lab import exercises"))
    for number, question in quiz.numbered():
        cells.append(("markdown", asked(number, question)))
        cells.append(("code", attempt(number)))
    cells += [("markdown", LAST), ("code", "exercises.progress()")]
    made = [cell(kind, i, source, tags(source)) for i, (kind, source) in enumerate(cells)]
    return {key: value for key, value in capstone.items() if key != "cells"} | {"cells": made}


def tags(source: str) -> list[str] | None:
    """A cell's tags: attempts, and the squares, which differ from machine to machine."""
    if editions.ATTEMPT.search(source):
        return ["attempt"]
    return ["nbval-ignore-output"] if source == "exercises.progress()" else None


def escaped(text: str) -> str:
    """Words as GIFT wants them: its own signs behind a backslash."""
    return re.sub(r"([~=#{}:\\])", r"\\\1", text)


def sentence(text: str) -> str:
    """With a large first letter, if that is a Latin one."""
    return text[0].upper() + text[1:] if text[0].isascii() else text


def gift() -> str:
    """The questions in Moodle's GIFT format: title, question, answers with their reasons."""
    blocks = ["// DPO from Scratch, made by `make quiz`\n$CATEGORY: DPO from Scratch"]
    for number, question in quiz.numbered():
        shown = f"Shown in {quiz.place(question)}."
        lines = [
            f"  {'~' if why else '='}{escaped(says)}"
            f"#{escaped(sentence(why or question['because']) + ' ' + shown)}"
            for says, why in quiz.answers(number, question)
        ]
        title = f"::Q{number:02d} {escaped(question['about'])}::"
        blocks.append("\n".join([f"{title}{escaped(question['ask'])} {{", *lines, "}"]))
    return "\n\n".join(blocks) + "\n"


def executed(book: dict) -> dict:
    """The notebook with the outputs that a reader finds, who has not tried anything yet."""
    from nbclient import NotebookClient

    os.environ["DPO_PROGRESS"] = "solved.json"  # no place on this machine is stored
    node = nbformat.reads(json.dumps(book), as_version=4)
    NotebookClient(node, timeout=120, resources={"metadata": {"path": str(TEACHING)}}).execute()
    cells = [
        cell | ({"execution_count": ran.execution_count, "outputs": joined(ran.outputs)})
        if "outputs" in cell
        else cell
        for cell, ran in zip(book["cells"], node.cells, strict=True)
    ]
    return book | {"cells": cells}


def joined(outputs: list) -> list:
    """What was printed, as one output however many pieces it came in."""
    told = "".join(output.text for output in outputs)
    return [nbformat.v4.new_output("stream", text=told)] if told else []


def write() -> None:
    """Write quiz.ipynb and quiz.gift beside quiz.toml."""
    (TEACHING / "quiz.gift").write_text(gift(), encoding="utf-8")
    nbformat.write(nbformat.from_dict(executed(notebook())), TEACHING / "quiz.ipynb")
    print(f"{len(quiz.questions())} questions: quiz.ipynb and quiz.gift")


if __name__ == "__main__":
    write()
