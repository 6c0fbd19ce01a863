"""The book listens: right attempts pass in any style, wrong ones are told their mistake."""

import math
import time
from importlib import import_module

import numpy as np
import pytest
import torch

from dpo_from_scratch.lab import exercises
from dpo_from_scratch.lab.exercises import Choice, Function, Numbers, attempts, solved


def module(chapter: str) -> str:
    return exercises.KIT.get(chapter, f"ch{chapter}")


def tried(chapter: str):
    return import_module(f"attempts.{module(chapter)}")


EVERY = {
    number: exercise
    for chapter in exercises.chapters()
    for number, exercise in import_module(
        f"dpo_from_scratch.lab.exercises.{module(chapter)}"
    ).EXERCISES.items()
}
RIGHT = [
    pytest.param(number, attempt, id=f"{number} right {i}")
    for number in EVERY
    for i, attempt in enumerate(tried(number.split(".")[0]).RIGHT[number])
]
WRONG = [
    pytest.param(number, attempt, fragment, id=f"{number} wrong {i}")
    for number in EVERY
    for i, (attempt, fragment) in enumerate(tried(number.split(".")[0]).WRONG[number])
]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.setenv("DPO_PROGRESS", str(tmp_path / "solved.json"))
    monkeypatch.setattr(solved, "_here", {})


# ---------------------------------------------------------------- the chapters' exercises
@pytest.mark.parametrize("number", EVERY)
def test_the_books_own_answer_is_right_and_nothing_is_no_error(number):
    assert exercises.judge(number, EVERY[number].own).state == "right"
    assert exercises.judge(number, None).state == "untried"


@pytest.mark.parametrize(("number", "attempt"), RIGHT)
def test_a_right_attempt_is_right_in_any_style(number, attempt):
    said = exercises.judge(number, attempt)
    assert said.state == "right", said


@pytest.mark.parametrize(("number", "attempt", "fragment"), WRONG)
def test_a_wrong_attempt_is_told_its_mistake(number, attempt, fragment):
    said = exercises.judge(number, attempt)
    assert said.state in ("wrong", "form"), said
    assert fragment in said.text, said
    if isinstance(EVERY[number], Numbers):  # never the answer
        for value in EVERY[number].own.values():
            digits = f"{abs(value):.3g}"
            assert len(digits) < 3 or digits not in said.text, said


@pytest.mark.parametrize("number", EVERY)
def test_enough_mistakes_were_thought_of(number):
    exercise, wrong = EVERY[number], tried(number.split(".")[0]).WRONG[number]
    least = 6 if isinstance(exercise, Function) else 3
    if isinstance(exercise, Choice):
        least = sum(why is not None for why in [*exercise.options.values()])
    assert len(wrong) >= least


# ---------------------------------------------------------------- the engine
def loss(chosen, rejected, beta, *, power=1, sign=1, over="none"):
    out = torch.log1p(torch.exp(-sign * beta**power * (chosen - rejected)))
    return out.mean() if over == "mean" else out


def cases():
    rng = torch.Generator().manual_seed(0)
    row = lambda n: 3 * torch.randn(n, generator=rng)
    sizes = {0.1: 3, 0.6: 2, 2.0: 4}
    return [{"chosen": row(n), "rejected": row(n), "beta": b} for b, n in sizes.items()]


LOSS = Function(
    loss,
    cases(),
    switches={
        "power": (2, "β goes in twice."),
        "sign": (-1, "chosen and rejected are exchanged."),
        "over": ("mean", "the mean over the batch is taken."),
    },
    shows="That is DPO.",
    seconds=1.0,
)
margin = lambda c, r, b: b * (c - r)
FUNCTIONS = {  # what it is -> the attempt, what is said
    "β squared": (lambda c, r, b: loss(c, r, b * b), "β goes in twice"),
    "both": (lambda c, r, b: loss(r, c, b * b), "Second: "),
    "mean": (lambda c, r, b: loss(c, r, b).mean(), "the mean over the batch"),
    "no β": (lambda c, r, b: loss(c, r, 1.0), "`beta` is left out (as if it were 1)"),
    "no minus": (lambda c, r, b: -loss(c, r, b), "the sign is turned"),
    "no log": (lambda c, r, b: torch.sigmoid(margin(c, r, b)), "a `-log` is missing"),
    "β in front": (lambda c, r, b: b * loss(c, r, b), "times `beta`"),
    "length": (lambda c, r, b: loss(c, r, b) * len(c), "times the length of"),
    "base 2": (lambda c, r, b: loss(c, r, b) / math.log(2), "base 2"),
    "a third": (lambda c, r, b: loss(c, r, b) * 0.3, "0.3 times the right value"),
    "chosen added": (lambda c, r, b: loss(c, r, b) + c, "too high by `chosen`"),
    "one more": (lambda c, r, b: loss(c, r, b) + 1, "off by +1"),
    "one side": (lambda c, r, b: torch.cos(r) * b, "doesn't look at `chosen`"),
    "raises": (lambda c, r, b: c @ r @ b, "raises TypeError in line 1 of it"),
    "prints": (lambda c, r, b: print(c), "prints its result and returns nothing"),
    "nothing": (lambda c, r, b: c.sum() and None, "it returns nothing: end with `return`"),
    "never ends": (lambda c, r, b: [0 for _ in iter(int, 1)], "had not ended after 1 seconds"),
    "in place": (lambda c, r, b: loss(c.mul_(2), r, b), "changes its argument `chosen`"),
    "a text": (lambda c, r, b: "0.69", "it gives a str"),
    "too many": (lambda c, r, b: torch.zeros(3, 3), "9 numbers of shape (3, 3)"),
    "half": (lambda c, r, b: loss(c, r, b).bfloat16(), "torch.bfloat16: compute in float32"),
    "whole": (lambda c, r, b: loss(c, r, b).long(), "whole numbers"),
    "nan": (lambda c, r, b: c * math.nan, "3 of 3 are NaN"),
    "gradient": (lambda c, r, b: loss(c.clone().requires_grad_(), r, b), "carries a gradient"),
    "two arguments": (lambda c, r: loss(c, r, 1), "takes (c, r), and is called with 3"),
    "a number": (0.69, "a function of (chosen, rejected, beta) is asked"),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_functions_mistake_is_found_by_what_it_gives(name):
    attempt, fragment = FUNCTIONS[name]
    said = LOSS.judge(attempt)
    assert said.state in ("wrong", "form")
    assert fragment in said.text, said


def test_a_right_function_is_welcome_in_any_style():
    logistic = torch.nn.functional.logsigmoid
    for attempt in (
        loss,
        lambda c, r, b: -logistic(margin(c, r, b)),
        lambda c, r, b: np.log1p(np.exp(-b * (c - r).numpy())),
        lambda c, r, b: [math.log(1 + math.exp(-b * (x - y))) for x, y in zip(c, r, strict=True)],
        lambda c, r, b: -logistic(margin(c.double(), r.double(), b)),
        lambda *args: loss(*args),
    ):
        assert LOSS.judge(attempt).state == "right"


def test_what_is_not_known_is_said_so_with_an_input():
    said = LOSS.judge(lambda c, r, b: b * c + torch.cos(r) * b * b)
    assert said.state == "unknown"
    assert "I can't tell why: for chosen = [" in said.text


def test_a_blank_is_not_tried_yet():
    def only_told(chosen, rejected, beta):
        """The loss of a pair."""
        ...

    def dots(chosen, rejected, beta): ...

    for attempt in (None, ..., only_told, dots):
        assert LOSS.judge(attempt).state == "untried"
    for short in (lambda c: "a", lambda c: c, lambda now, P: P @ now):
        assert not attempts.blank(short)
    assert not attempts.blank(loss)


def test_a_thread_that_is_given_up_ends():
    import threading

    before = threading.active_count()
    attempts.call(lambda c: [0 for _ in iter(int, 1)], {"c": 1.0}, attempts.Clock(0.2))
    for thread in threading.enumerate():
        if thread.daemon and thread.name.startswith("Thread-"):
            thread.join(5)
    assert threading.active_count() <= before + 1


def test_a_check_leaves_the_readers_random_numbers_alone():
    torch.manual_seed(3)
    wanted = torch.rand(2)
    torch.manual_seed(3)
    LOSS.judge(lambda c, r, b: loss(c, r, b) + 0 * torch.rand(1))
    assert torch.equal(torch.rand(2), wanted)


TWO = Numbers({"first": 0.153, "second": 1.953}, [("first", 0.5, "that is a coin.")], "Yes.")


@pytest.mark.parametrize(
    ("attempt", "state", "fragment"),
    [
        ((0.153, 1.953), "right", "Yes."),
        ([0.1526, 1.96], "right", ""),
        (torch.tensor([0.153, 1.953]), "right", ""),
        ({"second": 1.953, "first": 0.153}, "right", ""),
        ((1.953, 0.153), "wrong", "not in the order (first, second)"),
        ((0.153, -1.953), "wrong", "`second`: the size is right, and the sign"),
        ((15.3, 195.3), "wrong", "in per cent"),
        ((0.5, 1.953), "wrong", "that is a coin"),
        ((0.153 / math.log(2), 1.953 / math.log(2)), "wrong", "in bits"),
        ((0.9, 1.953), "unknown", "`first` isn't it"),
        (0.153, "form", "2 in all; you gave 1"),
        ("0.153", "form", "is no number"),
        ({"first": 0.153}, "form", "missing: second"),
        ({"First": 0.153, "the second": 1.953}, "right", ""),
        ((math.nan, 1.953), "form", "NaN"),
    ],
)
def test_numbers(attempt, state, fragment):
    said = TWO.judge(attempt)
    assert (said.state, fragment in said.text) == (state, True), said


def test_a_choice_with_its_reason():
    choice = Choice({"0.2": None, "2": "no."}, "Yes.", {"flat": None, "steep": "look at σ."})
    assert choice.judge(choice.own).state == "right"
    assert choice.judge(("2", "flat")).text == "not yet: no."
    assert choice.judge(["0.2", "Steep"]).text == "not yet: look at σ."
    assert choice.judge(("3", "flat")).state == "form"
    assert choice.judge("0.2").state == "form"


# ---------------------------------------------------------------- what the reader calls
def test_check_prints_and_what_is_solved_is_kept(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(exercises, "find", lambda number: TWO)
    exercises.check("04.1", None)
    exercises.check("04.1", (1.953, 0.153))
    assert not solved.read()
    exercises.check("04.1", (0.153, 1.953))
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "04.1: not tried yet."
    assert told[2] == "04.1: right. Yes."
    assert list(solved.read()) == ["04.1"]
    assert "04.1" in (tmp_path / "solved.json").read_text()


def test_the_books_own_answers_are_not_the_readers(monkeypatch, capsys):
    monkeypatch.setattr(exercises, "find", lambda number: TWO)
    exercises.check("04.1", (0.153, 1.953), by="book")
    assert not solved.read()
    with pytest.raises(AssertionError, match="the book's own answer"):
        exercises.check("04.1", (0.5, 1.953), by="book")


def test_use_gives_the_readers_if_it_is_right_and_else_the_books(monkeypatch, capsys):
    monkeypatch.setattr(exercises, "find", lambda number: LOSS)
    mine = lambda c, r, b: loss(c, r, b)
    assert exercises.use("04.0", mine) is mine
    assert exercises.use("04.0", None) is loss
    assert exercises.use("04.0", lambda c, r, b: loss(r, c, b)) is loss
    assert "The chapter goes on with its own." in capsys.readouterr().out
    assert exercises.use("04.0", lambda c, r, b: loss(c, r, b).numpy()) is loss
    assert "its own, which gives a Tensor, not a ndarray." in capsys.readouterr().out


def test_an_attempt_that_waits_gets_three_times_as_long_and_one_that_works_does_not():
    for wait, least, most in ((lambda x: time.sleep(9), 0.9, 3), (endless, 0.3, 0.9)):
        clock, began = attempts.Clock(0.3), time.monotonic()
        done = attempts.call(wait, {"x": 1.0}, clock)
        assert done.trouble == "it had not ended after 0.3 seconds."
        assert least <= time.monotonic() - began < most


def endless(x):
    while True:
        x += 1


def test_progress_is_drawn_and_a_place_that_cant_be_written_is_said(capsys, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DPO_PROGRESS", str(tmp_path / "file" / "solved.json"))
    solved.keep("04.1")
    assert "not kept for the next time" in capsys.readouterr().out
    solved.draw({"04": ["04.0", "04.1"]})
    assert "□■" in capsys.readouterr().out
    (tmp_path / "odd.json").write_text("[1")
    monkeypatch.setenv("DPO_PROGRESS", str(tmp_path / "odd.json"))
    assert solved.read() == {"04.1": solved.read()["04.1"]}


def test_what_the_reader_calls_for_progress_has_a_row_for_every_chapter(capsys):
    solved.keep("04.1")
    assert exercises.progress() is None
    *rows, count, _ = capsys.readouterr().out.splitlines()
    assert [row.split()[0] for row in rows] == exercises.chapters()
    assert "□■" in rows[exercises.chapters().index("04")]
    assert count.startswith(f"1 of {sum(len(exercises.numbers(c)) for c in exercises.chapters())}")


def test_an_exercise_that_is_not_there_is_a_sentence():
    with pytest.raises(ValueError, match='no chapter "99" has exercises'):
        exercises.find("99.1")
