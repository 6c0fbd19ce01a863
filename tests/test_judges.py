"""Judges: two kinds, told apart by their parameters, each turned into the other; wrong ones."""

import functools
import re
import reprlib
import sys

import numpy as np
import pytest
import torch

from dpo_from_scratch import feedback, judges, rounds, world
from dpo_from_scratch.cli import main
from dpo_from_scratch.data import DataError, read_rows
from dpo_from_scratch.judges import (
    as_labeller,
    as_scores,
    checked_probability,
    checked_scores,
    compares,
    from_comparisons,
    load_judge,
    named_judge,
    text_of,
)

MINE = """
def scores(prompt, texts):
    return [len(t) for t in texts]

def warm(prompt, texts, temperature=1.0, *more, **others):
    return [len(t) / temperature for t in texts]

def compare(prompt, first, second):
    return len(first) > len(second)

def patient(prompt, first, second, patience=3):
    return compare(prompt, first, second)

class Judge:
    def __init__(self, kind):
        self.kind = kind

class OfTexts(Judge):
    def __call__(self, prompt, texts):
        return scores(prompt, texts)

class OfTwo(Judge):
    def __call__(self, prompt, first, second):
        return compare(prompt, first, second)

of_texts, of_two = OfTexts(1), OfTwo(2)

def four(prompt, first, second, third):
    return 1.0

def one(prompt):
    return 1.0

def named(prompt, texts, *, key):
    return [0.0 for t in texts]

def nan(prompt, texts):
    return [float("nan") for t in texts]

def few(prompt, texts):
    return [1.0]

def nothing(prompt, texts):
    pass

def words(prompt, texts):
    return list(texts)

def two_nan(prompt, first, second):
    return float("nan")

def two_large(prompt, first, second):
    return len(first) - len(second)

def two_nothing(prompt, first, second):
    pass

number = 3
"""
OF_TEXTS, OF_TWO = ("scores", "warm", "of_texts"), ("compare", "patient", "of_two")
NO_JUDGE = {
    "four": "this one needs: prompt, first, second, third",
    "one": "this one needs: prompt",
    "named": "this one needs: prompt, texts, key",
    "number": "and 3 is none",
    "missing": "is no judge: give ",
}
NO_SCORES = {
    "nan": "it must give one finite number for each",
    "few": "it must give one finite number for each",
    "nothing": "the judge gave None for ",
    "words": "it must give one finite number for each",
}
NO_PROBABILITY = {
    "two_nan": "the judge gave nan for two texts",
    "two_large": "it must give the probability, from 0 to 1",
    "two_nothing": "the judge gave None for two texts",
}
SMALL = ["--steps", "2", "--batch-size", "8"]


@pytest.fixture
def mine(tmp_path):
    """A name for --judge, of a function in a file."""
    (tmp_path / "mine.py").write_text(MINE)
    return lambda function: f"{tmp_path / 'mine.py'}:{function}"


# ---------------------------------------------------------------- which kind
def test_the_kinds_are_told_apart_by_parameters_that_have_no_default(mine):
    for name in OF_TEXTS:
        assert not compares(load_judge(mine(name), {})), name
    for name in OF_TWO:
        assert compares(load_judge(mine(name), {})), name
    assert compares(world.bradley_terry)
    assert compares(functools.partial(lambda how, prompt, first, second: how, 1.0))


@pytest.mark.parametrize("name", ["four", "one", "named", "number"])
def test_what_takes_other_arguments_is_no_judge(name, mine):
    judge = load_judge(mine(name), {})
    for turn in (compares, as_labeller, as_scores):
        with pytest.raises(DataError, match=NO_JUDGE[name]) as told:
            turn(judge)
        assert r"(prompt, first, second) or (prompt, texts)" in str(told.value)


def test_names_that_are_known_come_before_files_and_are_all_told(tmp_path):
    known = {"reviews": world.bradley_terry, "panel": world.panel}
    assert load_judge("panel", known) is world.panel
    with pytest.raises(DataError, match=r"is no judge: give reviews, panel or FILE\.py:FUNC"):
        load_judge("nobody", known)
    with pytest.raises(DataError, match=r"is no judge: give FILE\.py:FUNCTION"):
        load_judge("nobody", {})
    (tmp_path / "broken.py").write_text("def judge(prompt, texts)\n    return 1 / 0\n")
    (tmp_path / "raises.py").write_text("1 / 0\n")
    for name in ("broken", "raises"):
        with pytest.raises(DataError, match="is no judge") as told:
            load_judge(f"{tmp_path / name}.py:judge", {})
        assert "\n" not in str(told.value)


def test_text_of_a_prompt():
    user = {"role": "user", "content": "one"}
    assert text_of("whole") == "whole"
    said = [user, {"role": "assistant", "content": "two"}, user | {"content": "three"}]
    assert text_of([{"role": "system", "content": "zero"}, *said]) == "three"
    assert text_of([{"role": "system", "content": "zero"}]) == "zero"


# ---------------------------------------------------------------- each from the other
def test_of_scores_the_higher_one_wins_and_a_tie_is_one_half(mine):
    for name in OF_TEXTS:
        judge = as_labeller(load_judge(mine(name), {}))
        assert [judge("p", *two) for two in (("aa", "b"), ("a", "bb"), ("a", "b"))] == [1, 0, 0.5]


def test_of_comparisons_a_text_s_score_is_the_share_that_it_wins(mine):
    for name in OF_TWO:
        judge = as_scores(load_judge(mine(name), {}))
        assert judge("p", ["aa", "aaa", "a"]) == [0.5, 1.0, 0.0]
        assert judge("p", ["a"]) == [0.0]
        assert judge("p", []) == []


def test_a_judge_of_the_right_kind_answers_as_it_did():
    replies = ["the plot was good .", "the plot was bad .", "it was my second time ."]
    prompt = "film : how was the plot ?"
    turned = as_labeller(world.bradley_terry)
    for a in replies:
        for b in replies:
            assert turned(prompt, a, b) == world.bradley_terry(prompt, a, b)

    def scores(prompt, texts):
        return world.rewards(prompt, texts)

    assert as_scores(scores) is scores
    assert checked_scores(scores, prompt, replies) == world.rewards(prompt, replies).tolist()
    assert as_scores(world.bradley_terry)(prompt, replies) == from_comparisons(world.bradley_terry)(
        prompt, replies
    )


def test_both_orders_cancel_a_liking_for_the_first():
    position = from_comparisons(lambda prompt, first, second: 1.0)
    assert position("p", ["a", "b", "c"]) == [0.5, 0.5, 0.5]
    longest = from_comparisons(lambda prompt, first, second: float(len(first) > len(second)))
    assert longest("p", ["aa", "aaa", "a"]) == [0.5, 1.0, 0.0]
    assert longest("p", ["a"]) == [0.0]


# ---------------------------------------------------------------- answers that are none
@pytest.mark.parametrize("name", NO_SCORES)
def test_scores_that_are_none_are_refused_by_both(name, mine):
    judge = load_judge(mine(name), {})
    with pytest.raises(DataError, match=NO_SCORES[name]):
        checked_scores(as_scores(judge), "p", ["a", "bb", "ccc"])
    with pytest.raises(DataError, match=NO_SCORES[name]):
        as_labeller(judge)("p", "a", "bb")


@pytest.mark.parametrize("name", NO_PROBABILITY)
def test_comparisons_that_are_none_are_refused_by_both(name, mine):
    judge = load_judge(mine(name), {})
    with pytest.raises(DataError, match=NO_PROBABILITY[name]):
        as_scores(judge)("p", ["a", "bb", "ccc"])
    with pytest.raises(DataError, match=NO_PROBABILITY[name]):
        as_labeller(judge)("p", "aaa", "b")


# ---------------------------------------------------------------- in both commands
COMMANDS = {
    "iterate": ["--rounds", "1", "--method", "dno", "--k", "3"],
    "feedback": ["--model", "tiny", "--groups", "1", "--rule", "worst"],
}


def go(command, out, judge, capsys, prompts):
    """Exit status of a small run, and the last line that it printed on stderr."""
    data = "--prompts" if command == "feedback" else "--data"
    given = ["--judge", judge, data, str(prompts), "--out", str(out), *SMALL, *COMMANDS[command]]
    status = main([command, *given])
    return status, capsys.readouterr().err.strip().rpartition("\n")[2]


@pytest.fixture
def prompts(tmp_path):
    path = tmp_path / "prompts.jsonl"
    path.write_text("".join(f'{{"prompt": "{p}"}}\n' for p in world.prompts()[:8]))
    return path


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("name", [*OF_TEXTS, *OF_TWO])
def test_either_kind_judges_in_either_command(name, command, mine, prompts, tmp_path, capsys):
    assert go(command, tmp_path / "run", mine(name), capsys, prompts)[0] == 0
    place = "round-1/pairs.jsonl" if command == "iterate" else "pairs.jsonl"
    rows = read_rows(tmp_path / "run" / place)[0]
    assert rows
    assert all(len(row["chosen"]) >= len(row["rejected"]) for row in rows)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("name", [*NO_JUDGE, *NO_SCORES, *NO_PROBABILITY])
def test_what_is_wrong_with_a_judge_is_one_sentence(name, command, mine, prompts, tmp_path, capsys):
    status, told = go(command, tmp_path / "run", mine(name), capsys, prompts)
    assert status == 2
    assert told.startswith(f"dpo {command}: ")
    assert (NO_JUDGE | NO_SCORES | NO_PROBABILITY)[name] in told


# ---------------------------------------------------------------- other people's code
BESIDE = """
import words_of_mine

def kind(prompt, texts):
    import late_words_of_mine

    return [words_of_mine.count(t) + late_words_of_mine.EXTRA for t in texts]
"""


def test_a_file_may_import_modules_beside_it_also_when_it_is_called(tmp_path):
    before = dict(sys.modules)
    names = []
    for folder, wanted in (("a", "good"), ("b", "bad")):
        place = tmp_path / folder
        place.mkdir()
        (place / "mine.py").write_text(BESIDE)
        (place / "words_of_mine.py").write_text(f"def count(t):\n    return t.count('{wanted}')\n")
        (place / "late_words_of_mine.py").write_text("EXTRA = 0.5\n")
        judge, name = named_judge(f"{place / 'mine.py'}:kind", {})
        assert checked_scores(judge, "p", ["good bad good"]) == [2.5 if folder == "a" else 1.5]
        names.append(name)
    assert names[0] != names[1]  # another module beside it, another judge
    assert "words_of_mine" not in set(sys.modules) - set(before)


def test_a_judge_s_name_tells_its_file_s_content_and_not_its_place(mine, tmp_path):
    _, name = named_judge(mine("scores"), {})
    assert re.fullmatch(r"mine\.py:scores \([0-9a-f]{16}\)", name)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.py").write_text(MINE)
    assert named_judge(f"{tmp_path / 'other' / 'mine.py'}:scores", {})[1] == name
    (tmp_path / "other" / "mine.py").write_text(MINE + "\nmore = 1\n")
    assert named_judge(f"{tmp_path / 'other' / 'mine.py'}:scores", {})[1] != name
    assert named_judge("panel", {"panel": world.panel}) == (world.panel, "panel")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("def judge(prompt, texts)\n    return 1\n", "the file raised SyntaxError: expected ':'"),
        ("import sys\nsys.exit(0)\n", "the file asked the program to exit"),
        ("import no_such_module_here\n", "the file raised ModuleNotFoundError: No module named"),
        ("while True:\n    pass\n", "the file had not ended after 0.3 seconds"),
        ("raise BaseExceptionGroup('two', [ValueError(1)])\n", "the file raised ExceptionGroup"),
        ("other = 1\n", "the file holds no 'judge'"),
        ("\x00", "the file raised "),
    ],
)
def test_a_file_that_cannot_be_run_is_one_sentence(text, told, tmp_path, monkeypatch):
    monkeypatch.setattr(judges, "PATIENCE", 0.3)
    (tmp_path / "bad.py").write_text(text)
    with pytest.raises(DataError, match=r"is no judge: give FILE\.py:FUNCTION") as found:
        load_judge(f"{tmp_path / 'bad.py'}:judge", {})
    assert told in str(found.value)
    assert "\n" not in str(found.value)
    for nothing in (str(tmp_path), f"{tmp_path}:judge", "judge"):
        with pytest.raises(DataError, match="no such file"):
            load_judge(nothing, {})


def leaving(*asked):
    sys.exit(0)


def endless(*asked):
    while True:
        pass


def never_stops_giving(prompt, texts):
    while True:
        yield 1.0


def raises(*asked):
    return {}["key"]


@pytest.mark.parametrize(
    ("judge", "told"),
    [
        (leaving, "the judge asked the program to exit"),
        (endless, "the judge had not ended after 0.3 seconds"),
        (raises, "the judge raised KeyError: 'key'"),
    ],
)
def test_what_a_call_does_is_one_sentence_wherever_a_judge_is_called(judge, told, monkeypatch):
    monkeypatch.setattr(judges, "PATIENCE", 0.3)
    calls = (
        lambda: checked_scores(judge, "p", ["a", "b"]),
        lambda: checked_probability(judge, "p", "a", "b"),
        lambda: from_comparisons(judge)("p", ["a", "b"]),
        lambda: rounds.win_rates("p", ["a", "b"], judge, np.random.default_rng(0)),
        lambda: feedback.scored([{"prompt": "p", "responses": ["a", "b"]}], judge),
    )
    for call in calls:
        with pytest.raises(DataError, match=told):
            call()


NUMBERS = [True, 1, 1.0, np.float32(1), np.bool_(True), np.int64(1), torch.tensor([1.0])]
NO_NUMBERS = [None, "1", b"1", 1j, [1.0], np.array([1.0, 1.0]), torch.ones(2), 10**400, [], {}]


@pytest.mark.parametrize("given", NUMBERS, ids=repr)
def test_what_counts_as_a_number(given):
    assert checked_scores(lambda prompt, texts: [given, given], "p", ["a", "b"]) == [1.0, 1.0]
    assert checked_probability(lambda prompt, first, second: given, "p", "a", "b") == 1.0


@pytest.mark.parametrize("given", [*NO_NUMBERS, np.nan, np.inf, -np.inf], ids=repr)
def test_what_is_none_is_shown(given):
    with pytest.raises(DataError, match="for text 2 of 2: it must give one finite") as told:
        checked_scores(lambda prompt, texts: [0.5, given], "p", ["a", "b"])
    shown = " ".join(reprlib.repr(given).split())
    assert f"the judge gave {shown} for" in str(told.value)
    with pytest.raises(DataError, match="for two texts: it must give the prob") as told:
        checked_probability(lambda prompt, first, second: given, "p", "a", "b")
    assert f"the judge gave {shown} for" in str(told.value)


@pytest.mark.parametrize(
    "given",
    ["ab", {"a": 1.0, "b": 2.0}, 1.0, [1.0], [1.0, 2.0, 3.0], torch.tensor(1.0), np.ones(3)],
    ids=repr,
)
def test_scores_are_as_many_as_the_texts(given):
    with pytest.raises(DataError, match="for 2 texts: it must give one finite number for each"):
        checked_scores(lambda prompt, texts: given, "p", ["a", "b"])


def test_scores_may_come_in_any_row_of_numbers():
    for given in ((1, 2), np.array([1, 2]), torch.tensor([1.0, 2.0]), iter([1.0, 2.0])):
        assert checked_scores(lambda prompt, texts, given=given: given, "p", ["a", "b"]) == [1, 2]
    with pytest.raises(DataError, match="for 2 texts"):
        checked_scores(never_stops_giving, "p", ["a", "b"])


def test_a_judge_cannot_change_what_it_is_asked_about():
    prompt, texts = [{"role": "user", "content": "p"}], ["a", "b"]

    def meddles(prompt, texts):
        prompt[0]["content"] = "q"
        texts.clear()
        return [1.0, 2.0]

    assert checked_scores(meddles, prompt, texts) == [1.0, 2.0]
    assert (prompt, texts) == ([{"role": "user", "content": "p"}], ["a", "b"])


def test_an_async_judge_is_refused_with_what_to_do():
    async def later(prompt, texts):
        return [1.0 for _ in texts]

    with pytest.raises(DataError, match=r"async function: give one that calls it by asyncio\.run"):
        as_scores(later)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("import sys\nsys.exit(0)\n", "the file asked the program to exit"),
        ("def judge(prompt, texts):\n    raise SystemExit(0)\n", "the judge asked the program to"),
        ("def judge(prompt, texts):\n    return 1 / 0\n", "the judge raised ZeroDivisionError"),
    ],
)
def test_a_judge_that_exits_trains_nothing_and_says_so(
    text, told, command, prompts, tmp_path, capsys
):
    (tmp_path / "bad.py").write_text(text)
    judge = f"{tmp_path / 'bad.py'}:judge"
    status, last = go(command, tmp_path / "run", judge, capsys, prompts)
    assert status == 2
    assert told in last
    assert not list((tmp_path / "run").rglob("model.safetensors"))
