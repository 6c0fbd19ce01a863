"""A class's labels: the pairs, thirty simulated files put together, and what they say."""

import json
import time

import numpy as np
import pytest

from dpo_from_scratch import cli, world
from dpo_from_scratch.data import read_rows
from dpo_from_scratch.doctor import check_data
from dpo_from_scratch.lab import class_report, classroom, pages

PAIRS = classroom.pairs()


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Thirty people who disagree, each with a file as the page saves it."""
    folder, by = tmp_path_factory.mktemp("labels"), {}
    for row in class_report.simulated(30):
        by.setdefault(row["who"], []).append(row)
    for who, rows in by.items():
        path = folder / f"labels_{who.replace(' ', '_')}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return folder


def letters(rows, who):
    mine = sorted((r for r in rows if r["who"] == who), key=lambda r: r["pair"])
    return "".join("AB"[r["chosen"] != PAIRS[r["pair"] - 1]["a"]] for r in mine)


def write(folder, name, text):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_the_pairs_are_thirty_short_and_the_same_everywhere():
    assert len(PAIRS) == 30
    assert len({p["prompt"] for p in PAIRS}) == 10
    assert len({t for p in PAIRS for t in (p["a"], p["b"])}) == 30
    assert max(len(p[s].split()) for p in PAIRS for s in "ab") <= classroom.WORDS
    assert not {p["prompt"] for p in PAIRS} & set(world.prompts("test"))
    assert classroom.key() == KEY  # another key is another sheet: files of earlier ones don't fit


KEY = "73c599"


def test_thirty_files_are_put_together_and_dpo_reads_them(files, tmp_path, capsys):
    out = tmp_path / "class.jsonl"
    began = time.monotonic()
    assert cli.main(["labels", "merge", str(files), "--out", str(out)]) == 0
    assert time.monotonic() - began < 10
    assert "900 labels of 30 people" in capsys.readouterr().out
    rows = read_rows(out)[0]
    assert len(rows) == 900
    assert not [f for f in check_data(out) if f.level == "problem"]
    assert cli.main(["labels", "merge", str(files), "--out", str(out)]) == 2
    assert "is there already" in capsys.readouterr().err


def test_what_the_class_says(files, capsys):
    rows = classroom.merge([files]).rows
    found = class_report.summary(rows)
    low, high = found.ceiling
    assert found.people == 30
    assert found.counts.sum() == 900
    assert 0.5 < found.agreement < low <= high < 1  # they disagree
    truth = world.rewards
    gaps = np.array([truth(p["prompt"], [p["a"], p["b"]]) @ (1, -1) for p in PAIRS])
    assert np.corrcoef(gaps, found.fitted)[0, 1] > 0.9
    assert 0.2 < found.floor < np.log(2)
    for scored in found.scores.values():
        values = [score for _, score in scored]
        assert values == sorted(values, reverse=True)
        assert abs(sum(values)) < 1e-6
    found.show()
    assert "two people agree" in capsys.readouterr().out


def test_the_ceiling_lies_between_its_two_bounds():
    """With p known, the best accuracy is the mean of max(p, 1 - p)."""
    rng, p, lows, highs, agreed = np.random.default_rng(0), np.linspace(0.05, 0.95, 30), [], [], []
    for _ in range(40):
        rows = [
            classroom.label(n, "a" if rng.random() < chance else "b", str(who))
            for who in range(12)
            for n, chance in enumerate(p, start=1)
        ]
        found = class_report.summary(rows)
        lows.append(found.ceiling[0])
        highs.append(found.ceiling[1])
        agreed.append(found.agreement)
    best = np.maximum(p, 1 - p).mean()
    assert np.mean(lows) < best < np.mean(highs)
    assert np.mean(agreed) == pytest.approx((p**2 + (1 - p) ** 2).mean(), abs=0.01)


def test_the_floor_is_the_least_loss_on_these_labels_where_pairs_have_unequal_counts():
    """The best probability of a pair is its share; the loss is a mean over labels, not pairs."""
    sides = {1: "aaab", 2: "b", 3: "ab"}
    rows = [
        classroom.label(number, side, str(who))
        for number, chosen in sides.items()
        for who, side in enumerate(chosen)
    ]
    shares = [0.75] * 3 + [0.25] + [1.0] + [0.5] * 2  # of each label's own side
    floor = class_report.summary(rows).floor
    assert floor == pytest.approx(-np.log(shares).mean())
    assert floor != pytest.approx(np.mean([0.562335, 0, np.log(2)]), abs=0.01)  # pairs alike


def test_one_person_alone_and_a_circle():
    rows = [classroom.label(n, "a", "ada") for n in range(1, 31)]
    assert np.isnan(class_report.summary(rows).agreement)
    texts = [PAIRS[0]["a"], PAIRS[0]["b"], PAIRS[2]["b"]]
    assert [PAIRS[1]["a"], PAIRS[1]["b"]] == [texts[0], texts[2]]
    round_about = [classroom.label(n, side, "bo") for n, side in ((1, "a"), (3, "a"), (2, "b"))]
    assert class_report.summary(round_about).in_circles == [PAIRS[0]["prompt"]]
    with pytest.raises(ValueError, match="no labels"):
        class_report.summary([])


# ---------------------------------------------------------------- what can be wrong with a file
def of(who, sides):
    return "".join(
        json.dumps(classroom.label(n, s.lower(), who)) + "\n" for n, s in enumerate(sides, start=1)
    )


ADA = "AABBA" * 6
ODD = {  # what -> (a file besides Ada's, what is said, whose labels are there)
    "twice": (of("ada", "ABABA" * 6), "ada has labels already, from labels_ada.jsonl (18 of 30", 1),
    "missing": (of("bo", ADA[:26]), "bo has no label for 4 of 30 pairs (27, 28, 29, 30)", 2),
    "a pair twice": (of("bo", ADA) + of("bo", "B"), "bo has pairs 1 twice: the last counts", 2),
    "empty": (" \n", "x.jsonl: is empty: left out", 1),
    "another version": (
        of("bo", ADA).replace(KEY, "abc123").replace('"book": "', '"book": "0.0.'),
        "comes from version 0.0.",
        1,
    ),
    "other rows": ('{"prompt": "a", "chosen": "b", "rejected": "c"}', "line 1 is no label", 1),
    "no such pair": (of("bo", "A").replace('"pair": 1', '"pair": 31'), "line 1 is no label", 1),
    "not rows": ('{"prompt": ', "line 1 is no label of the workshop's pairs", 1),
    "no sheet": ("bo: ABBAB", 'the first line must be "sheet 73c599"', 1),
    "another sheet": ("sheet abc123\nbo: ABBAB", "sheet abc123 is of another version", 1),
    "no letters": (f"sheet {KEY}\nbo: 12211\ncy {ADA}", '"bo: 12211" is no name with up to 30', 1),
}


@pytest.mark.parametrize("what", ODD)
def test_whatever_is_odd_is_one_sentence(what, tmp_path):
    content, told, people = ODD[what]
    first = write(tmp_path, "labels_ada.jsonl", of("ada", ADA))
    merged = classroom.merge([first, write(tmp_path, "x.jsonl", content)])
    assert told in merged.remarks[0]
    assert len(merged.people) == people
    assert len(merged.remarks) == (2 if what == "no letters" else 1)
    assert bool(merged.left_out) == (what not in ("missing", "a pair twice"))


def test_turned_sides_are_named_and_counted_as_they_are(files, tmp_path):
    rows = classroom.merge([files]).rows
    turned = letters(rows, "simulated 3").translate(str.maketrans("AB", "BA"))
    merged = classroom.merge([files, write(tmp_path, "paper.txt", f"sheet {KEY}\nzoe: {turned}")])
    (said,) = merged.remarks
    assert said.startswith("paper.txt: zoe sides with most of the others in ")
    assert said.endswith("are A and B exchanged? They count as they are")
    assert letters(merged.rows, "zoe") == turned
    assert merged.left_out == 0


def test_paper_and_page_are_the_same_labels(files, tmp_path):
    rows = classroom.merge([files]).rows
    people = list(dict.fromkeys(row["who"] for row in rows))
    spaced = [" ".join(letters(rows, who)[i : i + 5] for i in range(0, 30, 5)) for who in people]
    lines = [f"{who}: {text.lower()}" for who, text in zip(people, spaced, strict=True)]
    paper = write(tmp_path, "paper.txt", "\n".join([f"Sheet: {KEY}", "", *lines]))
    merged = classroom.merge([paper])
    assert merged.rows == rows
    assert merged.remarks == []


def test_status_and_words_of_the_command(tmp_path, capsys):
    good, bad = write(tmp_path, "a.jsonl", of("ada", ADA)), write(tmp_path, "b.jsonl", "")
    out = str(tmp_path / "class.jsonl")
    assert cli.main(["labels", "merge", str(good), str(bad), "--out", out]) == 1
    assert "b.jsonl: is empty: left out\n30 labels of 1 people" in capsys.readouterr().out
    assert cli.main(["labels", "merge", str(bad), "--out", f"{out}2"]) == 2
    assert "no file has a label" in capsys.readouterr().err
    assert cli.main(["labels", "merge"]) == 2
    assert cli.main(["labels", "merge", str(tmp_path / "none.jsonl"), "--out", f"{out}2"]) == 2
    assert "No such file" in capsys.readouterr().err


def test_the_sheet_has_all_pairs_and_loads_nothing(tmp_path):
    out = tmp_path / "sheet.html"
    assert cli.main(["labels", "sheet", "--out", str(out)]) == 0
    page = out.read_text(encoding="utf-8")
    assert page.count("<tr>") == 31
    assert f"Sheet {KEY}" in page
    assert not any(word in page for word in ("http", "src=", "<script", "<link"))
    for pair in PAIRS:
        assert world.pretty(pair["a"]) in page.replace("&#x27;", "'")


# ---------------------------------------------------------------- the pages
def test_the_page_saves_what_merge_reads(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page, wanted = pages.ClassPage("Ada L."), {}
    for count in range(30):
        number, side = page.order[count], count % 2
        wanted[number + 1] = "ab"[page.sides[number][side] == "rejected"]
        page.buttons[side].click()
    merged = classroom.merge([tmp_path / "labels_Ada_L_.jsonl"])
    assert list(merged.people) == ["Ada L."]
    assert letters(merged.rows, "Ada L.").lower() == "".join(wanted[n] for n in range(1, 31))
    again = pages.ClassPage("Ada L.")
    again.earlier.click()
    assert len(again.answers) == 30
    assert pages.ClassPage("bo").order != page.order
    # without buttons: the sheet's order and sides, or letters beside it would be read wrongly
    assert pages.ClassPage("bo").shown() == [(p["prompt"], p["a"], p["b"]) for p in PAIRS]


def test_a_blind_page_gives_nothing_away_and_counts_honestly(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    asked = [f"film : how was the plot {i} ?" for i in range(9)]
    before, after = [f"old {i} ." for i in range(9)], [f"new {i} ." for i in range(9)]
    after[4] = before[4]
    page = pages.BeforeAfter(asked, before, after)
    assert len(page.rows) == 8
    table = page._table()
    assert "chosen" not in table
    assert "<th" in table
    assert set(page.key()) == {"A", "B"}
    for line, side in zip(table.split("<tr>")[2:], page.key(), strict=True):
        cells = line.split("<td")
        assert "New" in cells[3 if side == "A" else 4]
    assert page.count() == (0, 0)
    assert page.told(0, 0) == "nothing is judged yet"
    for side in page.key()[:6]:
        page.buttons["AB".index(side)].click()
    page.buttons["BA".index(page.key()[6])].click()
    assert page.count() == (6, 7)
    assert page.told(6, 7) == "6 of 7 for the text after training; 95 %: 49% to 97%"
    assert page.judged_by(lambda prompt, a, b: float(a.startswith("new"))) == (8, 8)
