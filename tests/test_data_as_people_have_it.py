"""Other people's rows: kinds by keys, what is dropped is compared, other formats, other names."""

import gzip
import json

import pytest
from datasets import Dataset, DatasetDict

from dpo_from_scratch import cli
from dpo_from_scratch.data import (
    DataError,
    check_row,
    kind_of,
    read_rows,
    records,
    sources,
    write_rows,
)
from dpo_from_scratch.doctor import check_data, check_file
from dpo_from_scratch.world.tiny import review_tokenizer

PAIR = {"prompt": "Is tea warm?", "chosen": " It is.", "rejected": " No idea."}
USER = {"role": "user", "content": "And cold?"}
SYSTEM = {"role": "system", "content": "Be brief."}
EARLIER = [{"role": "user", "content": "Is tea warm?"}, {"role": "assistant", "content": "Yes."}]
YES, NO = ({"role": "assistant", "content": c} for c in ("At times.", "Never."))


def lines(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def told(row, kind="pairs"):
    notes = []
    return check_row(row, kind, notes.append), " | ".join(notes)


# ---------------------------------------------------------------- kinds
def test_a_bad_pair_among_the_first_lines_does_not_hide_the_others(tmp_path, capsys):
    rows = [PAIR | {"prompt": f"{i}?"} for i in range(30)]
    rows[7]["chosen"] = rows[7]["rejected"]
    path = lines(tmp_path / "x.jsonl", *rows)
    assert kind_of(path) == "pairs"
    assert cli.main(["check-data", str(path)]) == 1
    out = capsys.readouterr().out
    assert "read as pairs, 29 rows used, 1 left out" in out
    assert "are the same (line 8)" in out


@pytest.mark.parametrize("label", [0, 1, "good", 0.5])
def test_thumbs_that_are_no_booleans_are_no_texts(label, tmp_path, capsys):
    path = lines(tmp_path / "x.jsonl", {"prompt": "a", "completion": "b", "label": label})
    assert cli.main(["check-data", str(path)]) == 1
    out = capsys.readouterr().out
    assert "read as labels" in out
    assert "label must be true or false" in out


def test_rows_of_another_kind_in_between_are_named_with_their_line(tmp_path):
    path = lines(tmp_path / "x.jsonl", PAIR, {"prompt": "a", "completion": "b"}, PAIR)
    with pytest.raises(DataError, match="line 2: no 'chosen', 'rejected'; pairs need"):
        read_rows(path)


def test_an_empty_file_is_no_clean_file(tmp_path, capsys):
    path = tmp_path / "x.jsonl"
    for content in ("", "\n\n", "[]"):
        path.write_text(content)
        assert cli.main(["check-data", str(path)]) == 1
        assert "holds no rows" in capsys.readouterr().out


# ---------------------------------------------------------------- dropped turns
def test_turns_that_repeat_the_prompt_are_dropped_and_a_longer_history_is_taken():
    whole = [SYSTEM, *EARLIER, USER]
    row, notes = told({"prompt": whole, "chosen": [*whole, YES], "rejected": [*whole, NO]})
    assert (row["prompt"], row["chosen"], notes) == (whole, [YES], "")
    for prompt in ("And cold?", [USER]):
        row, notes = told({"prompt": prompt, "chosen": [*whole, YES], "rejected": [*whole, NO]})
        assert (row["prompt"], row["rejected"]) == (whole, [NO])
        assert "lacks turns" in notes
    row, _ = told({"prompt": whole, "chosen": [USER, YES], "rejected": [NO]})
    assert row["prompt"] == whole


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"prompt": [USER], "chosen": [USER, YES], "rejected": [*EARLIER, NO]}, "rejected begins"),
        ({"prompt": "And cold?", "chosen": [*EARLIER, USER, YES], "rejected": [NO]}, "different"),
        (
            {"prompt": [USER], "chosen": [USER, YES, USER, NO], "rejected": [NO]},
            "different",
        ),
        ({"prompt": "Other?", "chosen": [USER, YES], "rejected": [USER, NO]}, "different prompts"),
    ],
)
def test_turns_that_differ_are_refused(row, reason):
    with pytest.raises(DataError, match=reason):
        check_row(row)


def test_a_system_column_comes_first_or_has_no_place():
    row, _ = told({"prompt": [USER], "chosen": [YES], "rejected": [NO], "system": "Be brief."})
    assert row["prompt"] == [SYSTEM, USER]
    row, _ = told({"prompt": [USER], "chosen": [YES], "rejected": [NO], "system": None})
    assert row["prompt"] == [USER]
    with pytest.raises(DataError, match="column 'system' has no place"):
        check_row(PAIR | {"system": "Be brief."})
    with pytest.raises(DataError, match="differ"):
        check_row({"prompt": [SYSTEM, USER], "chosen": [YES], "rejected": [NO], "system": "No."})


@pytest.mark.parametrize("name", ["tools", "images", "documents"])
def test_columns_that_change_the_prompt_are_refused_by_name(name):
    assert check_row(PAIR | {name: []}) == PAIR
    with pytest.raises(DataError, match=f"column '{name}' would change"):
        check_row(PAIR | {name: ["a"]})


def test_other_columns_are_listed_as_not_used(tmp_path):
    path = lines(tmp_path / "x.jsonl", PAIR | {"id": 3, "messages": [USER]})
    assert "not used: id, messages" in str(read_rows(path)[1])


# ---------------------------------------------------------------- texts
def test_what_is_odd_about_strings_is_counted():
    _, notes = told(PAIR | {k: PAIR["prompt"] + PAIR[k] for k in ("chosen", "rejected")})
    assert "begins with the prompt" in notes
    _, notes = told({"prompt": "The film was", "chosen": "good", "rejected": " bad"})
    assert "no white space" in notes
    _, notes = told({"prompt": "The film was", "chosen": " good", "rejected": ", well, bad"})
    assert notes == ""
    _, notes = told(PAIR | {"chosen": " Yes.\n\nHuman: And cold?"})
    assert "another turn of the human" in notes


@pytest.mark.parametrize("written", [json.dumps([USER]), str([USER])])
def test_messages_written_as_text_are_refused(written):
    with pytest.raises(DataError, match="prompt is messages written as text"):
        check_row(PAIR | {"prompt": written})


def test_a_transcript_that_ends_with_the_human_is_refused():
    start = "\n\nHuman: one\n\nAssistant:"
    with pytest.raises(DataError, match="ends with the human's turn"):
        check_row({"chosen": f"{start} a\n\nHuman: b", "rejected": f"{start} c"})


def test_scores_that_contradict_the_label_are_counted(tmp_path):
    rows = [PAIR | {"prompt": f"{i}?", "score_chosen": i, "score_rejected": 1} for i in range(3)]
    report = read_rows(lines(tmp_path / "x.jsonl", *rows))[1]
    assert dict(report.warnings) == {
        "the chosen response has the lower score": 1,
        "chosen and rejected have equal scores": 1,
    }
    _, notes = told(PAIR | {"chosen_score": "high", "rejected_score": 1})
    assert "no finite number" in notes


# ---------------------------------------------------------------- formats
@pytest.mark.parametrize("indent", [None, 2])
def test_a_json_array_is_read_as_lines_are(indent, tmp_path, monkeypatch):
    rows = [PAIR | {"prompt": f"{i} é?"} for i in range(200)]
    path = tmp_path / "x.json"
    path.write_text(json.dumps(rows, indent=indent, ensure_ascii=False), encoding="utf-8")
    monkeypatch.setattr(sources, "PIECE", 7)
    assert read_rows(path)[0] == rows
    (tmp_path / "x.json.gz").write_bytes(gzip.compress(path.read_bytes()))
    assert read_rows(tmp_path / "x.json.gz")[0] == rows
    bad = [*rows[:3], PAIR | {"chosen": ""}]
    path.write_text(json.dumps(bad, indent=indent))
    with pytest.raises(DataError, match="row 4: chosen is empty"):
        read_rows(path)
    path.write_text(json.dumps(rows[:3])[:-9])
    with pytest.raises(DataError, match="row 3: not a JSON array"):
        read_rows(path)
    path.write_text(json.dumps(rows[:3]) + "x")
    with pytest.raises(DataError, match="nothing should follow"):
        read_rows(path)


def test_parquet_and_saved_folders_are_read(tmp_path):
    rows = [PAIR | {"prompt": f"{i}?"} for i in range(5)]
    data = Dataset.from_list(rows)
    data.to_parquet(tmp_path / "x.parquet")
    assert read_rows(tmp_path / "x.parquet")[0] == rows
    data.save_to_disk(tmp_path / "one")
    assert read_rows(tmp_path / "one")[0] == rows
    DatasetDict(train=data, test=data.select([0])).save_to_disk(tmp_path / "several")
    assert read_rows(tmp_path / "several")[0] == rows
    assert len(read_rows(tmp_path / "several" / "test")[0]) == 1
    DatasetDict(a=data, b=data).save_to_disk(tmp_path / "unclear")
    with pytest.raises(DataError, match=r"several splits; give one of them: .*unclear/a"):
        read_rows(tmp_path / "unclear")
    (tmp_path / "cut.parquet").write_bytes((tmp_path / "x.parquet").read_bytes()[:100])
    with pytest.raises(DataError, match="can't be read to its end"):
        read_rows(tmp_path / "cut.parquet")


def test_without_the_library_one_sentence_says_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "x.parquet").write_bytes(b"PAR1....")
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(DataError, match="needs pyarrow: `pip install datasets`"):
        read_rows(tmp_path / "x.parquet")


@pytest.mark.parametrize(
    ("row", "recipe"),
    [
        ({"question": "q", "chosen": "a", "rejected": "b", "system": ""}, r"r\['question'\]"),
        ({"instruction": "q", "response_a": "a", "response_b": "b"}, r"r\['response_a'\]"),
        ({"history": "q", "human_ref_A": "a", "human_ref_B": "b", "labels": 1}, "human_ref_B"),
        ({"instruction": "q", "completions": []}, "overall_score"),
    ],
)
def test_other_names_get_one_sentence_with_a_recipe(row, recipe, tmp_path):
    path = lines(tmp_path / "x.jsonl", *[row] * 9)
    with pytest.raises(DataError, match=recipe) as caught:
        read_rows(path)
    assert "its columns are " + next(iter(row)) in str(caught.value)
    assert list(records(path)) == [row] * 9


def test_a_line_that_never_ends_and_a_pipe_are_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "LONGEST", 2000)
    path = lines(tmp_path / "x.jsonl", PAIR, PAIR | {"chosen": "a" * 3000})
    with pytest.raises(DataError, match="line 2: is longer than"):
        read_rows(path)
    __import__("os").mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="no regular file"):
        read_rows(tmp_path / "pipe")


# ---------------------------------------------------------------- tokens
def test_unknown_words_and_pairs_of_the_same_tokens_are_seen(tmp_path):
    rows = [{"prompt": f"quark {i} ?", "chosen": "boson", "rejected": "good ."} for i in range(4)]
    path = lines(tmp_path / "x.jsonl", *rows, rows[0] | {"rejected": "lepton"})
    found = check_file(path, tokenizer=review_tokenizer())
    assert "chosen and rejected are the same tokens (line 5)" in str(found)
    assert "over a tenth of its tokens are unknown" in str(found)
    assert found.report.rows == 4


def test_findings_of_a_file_name_the_rows(tmp_path):
    turned = PAIR | {"chosen": PAIR["rejected"], "rejected": PAIR["chosen"]}
    found = check_data(lines(tmp_path / "x.jsonl", PAIR, turned, PAIR, PAIR | {"chosen": ""}))
    assert {f.code: f.seen.split("(")[-1] for f in found} == {
        "bad_rows": "line 4)",
        "contradictions": "line 2)",
        "duplicates": "line 3)",
    }


# ---------------------------------------------------------------- recipes
OTHERS = {  # a row of a public shape -> the kind that its recipe makes
    "Orca": ({"system": "Be brief.", "question": "q?", "chosen": " a", "rejected": " b"}, "pairs"),
    "SHP": ({"history": "q?", "human_ref_A": "a", "human_ref_B": "b", "labels": 1}, "pairs"),
    "UltraFeedback": (
        {
            "instruction": "q?",
            "completions": [
                {"response": "bad", "overall_score": 1.0},
                {"response": "good", "overall_score": 7.0},
            ],
        },
        "pairs",
    ),
    "ShareGPT": (
        {
            "conversations": [{"from": "human", "value": "q?"}],
            "chosen": {"from": "gpt", "value": "a"},
            "rejected": {"from": "gpt", "value": "b"},
        },
        "pairs",
    ),
    "Alpaca": ({"instruction": "q?", "input": "", "output": "a"}, "texts"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_the_recipe_of_a_public_shape_runs_and_makes_rows_that_are_read(
    name, tmp_path, monkeypatch
):
    row, kind = OTHERS[name]
    path = lines(tmp_path / "theirs.jsonl", *[row] * 3)
    with pytest.raises(DataError) as caught:
        read_rows(path, kind)
    code = "write_rows(" + str(caught.value).partition("write_rows(")[2]
    code = code.split("`")[0].strip()
    names = {"write_rows": write_rows, "records": records, "PATH": str(path), "FILE": str(path)}
    monkeypatch.chdir(tmp_path)
    exec(code, names)
    made = [p for p in tmp_path.iterdir() if p != path]
    rows, _ = read_rows(made[0], kind)
    assert len(rows) == 3
    if kind == "pairs" and name != "Orca":
        assert rows[0]["chosen"] != rows[0]["rejected"]
    if name == "UltraFeedback":
        assert (rows[0]["chosen"], rows[0]["rejected"]) == ("good", "bad")


@pytest.mark.parametrize(
    "row",
    [{"prompt": "a", "chosen": "b"}, {"prompt": "a", "response_a": "b", "response_b": "c"}],
)
def test_half_a_pair_is_no_prompt(row, tmp_path, capsys):
    path = lines(tmp_path / "x.jsonl", row, row)
    assert cli.main(["check-data", str(path)]) != 0
    told = capsys.readouterr()
    assert next(reversed(row)) in told.out + told.err


@pytest.mark.parametrize("what", ["the prompt twice", "scores that say otherwise"])
def test_what_most_rows_have_is_a_problem(what, tmp_path):
    wrong = {"score_chosen": 1, "score_rejected": 2}
    if what == "the prompt twice":
        wrong = {k: PAIR["prompt"] + PAIR[k] for k in ("chosen", "rejected")}
    path = lines(tmp_path / "x.jsonl", *[PAIR | wrong | {"id": i} for i in range(4)])
    assert any(f.level == "problem" for f in check_data(path))
    good = [PAIR | {"prompt": f"{i}?"} for i in range(9)]
    path = lines(tmp_path / "y.jsonl", *good, PAIR | wrong)
    assert not any(f.level == "problem" for f in check_data(path))
