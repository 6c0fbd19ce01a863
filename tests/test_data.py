"""Reading, checking and tokenising preference records."""

import gzip
import json

import pytest
from conftest import make_shipped as make
from datasets import load_dataset

from dpo_from_scratch import data, world
from dpo_from_scratch.data import DataError, check_row, read_rows, write_rows
from dpo_from_scratch.tokens import collate, encode, encode_rows, fit
from dpo_from_scratch.world.tiny import review_tokenizer

PAIR = {"prompt": "q ?", "chosen": "yes .", "rejected": "no ."}
USER, GOOD, BAD = (
    {"role": r, "content": c}
    for r, c in (("user", "hi"), ("assistant", "hello"), ("assistant", "go away"))
)


def hh(*turns, last):
    return "".join(f"\n\nHuman: {h}\n\nAssistant: {a}" for h, a in turns) + last


# ---------------------------------------------------------------- rows


def test_rows_in_normal_form():
    assert check_row(PAIR) == PAIR
    assert check_row(PAIR | {"probability": 1, "id": 7}) == PAIR | {"probability": 1.0}
    messages = {"prompt": [USER], "chosen": [GOOD], "rejected": [BAD]}
    assert check_row(messages) == messages
    assert check_row({"prompt": "hi", "chosen": [USER, GOOD], "rejected": [USER, BAD]})[
        "chosen"
    ] == [GOOD]
    assert check_row({"prompt": "a", "completion": "b", "label": False}, "labels")["label"] is False
    assert check_row({"prompt": "a", "completion": "b"}, "texts") == {
        "prompt": "a",
        "completion": "b",
    }


def test_transcripts_are_split_at_the_last_assistant_turn():
    start = hh(("one", "two"), last="\n\nHuman: three\n\nAssistant:")
    row = check_row({"chosen": start + " good", "rejected": start + " bad"})
    assert row == {"prompt": start, "chosen": " good", "rejected": " bad"}
    prefix = check_row(
        {"chosen": start + " good", "rejected": start + " good and more"}
    )  # one is the other's beginning
    assert (prefix["chosen"], prefix["rejected"]) == (" good", " good and more")
    implicit = check_row({"chosen": [USER, GOOD], "rejected": [USER, BAD]})
    assert implicit == {"prompt": [USER], "chosen": [GOOD], "rejected": [BAD]}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"prompt": "a", "chosen": "b"}, "no 'rejected'"),
        ({**PAIR, "chosen": None}, "no 'chosen'"),
        ({**PAIR, "chosen": 3}, "chosen must be a string"),
        ({**PAIR, "chosen": ""}, "chosen is empty"),
        ({**PAIR, "rejected": " \n"}, "rejected is empty"),
        ({**PAIR, "rejected": "yes ."}, "are the same"),
        ({**PAIR, "probability": 1.5}, "probability"),
        ({**PAIR, "probability": "high"}, "probability"),
        ({"prompt": [USER], "chosen": [USER], "rejected": [BAD]}, "assistant's turn"),
        (
            {"prompt": [USER], "chosen": [{"role": "robot", "content": "x"}], "rejected": [BAD]},
            "unknown role",
        ),
        ({"prompt": [["x"]], "chosen": [GOOD], "rejected": [BAD]}, "message"),
        ({"prompt": [], "chosen": [GOOD], "rejected": [BAD]}, "prompt must be"),
        ({"chosen": "a", "rejected": "b"}, "no assistant turn"),
        (
            {"chosen": hh(("x", "y"), last=""), "rejected": hh(("z", "y"), last="")},
            "different prompts",
        ),
        ({"chosen": "a", "rejected": [USER, BAD]}, "both be"),
    ],
)
def test_bad_rows_are_refused_with_the_reason(row, reason):
    with pytest.raises(DataError, match=reason):
        check_row(row)


@pytest.mark.parametrize("label", [1, "true", None])
def test_labels_must_be_bool(label):
    with pytest.raises(DataError, match="label"):
        check_row({"prompt": "a", "completion": "b", "label": label}, "labels")


# ---------------------------------------------------------------- files


def test_a_bad_line_stops_with_file_and_number_or_is_counted(tmp_path):
    path = tmp_path / "pairs.jsonl"
    good = json.dumps(PAIR).encode()
    path.write_bytes(
        good + b"\n\n" + b"{broken\n" + b'{"prompt": "\xff"}\n' + b"[1]\n" + good + b"\n"
    )
    with pytest.raises(DataError, match=r"pairs\.jsonl, line 3: not JSON"):
        read_rows(path)
    rows, report = read_rows(path, skip_bad=True)
    assert len(rows) == report.rows == 2
    assert report.left_out.total() == 3
    assert report.lines["not UTF-8 (byte 13 of the line)"] == [4]
    assert "2 rows used, 3 left out" in str(report)


def test_files_that_cannot_be_read_say_so(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        read_rows(tmp_path / "nowhere.jsonl")
    with pytest.raises(DataError, match="is a folder"):
        read_rows(tmp_path)
    empty = tmp_path / "empty.jsonl"
    empty.write_text("\n")
    with pytest.raises(DataError, match="no usable row"):
        read_rows(empty)
    cut = tmp_path / "cut.jsonl.gz"
    whole = gzip.compress(
        b"\n".join(json.dumps(PAIR | {"prompt": str(i)}).encode() for i in range(2000))
    )
    cut.write_bytes(whole)
    assert len(read_rows(cut)[0]) == 2000
    cut.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="can't be read to its end"):
        read_rows(cut)
    with pytest.raises(DataError, match="kind is one of"):
        read_rows(cut, "triples")


def test_what_is_written_is_read_again_and_the_datasets_library_reads_it_too(tmp_path):
    rows = world.make_pairs(20)
    write_rows(tmp_path / "pairs.jsonl", rows)
    assert read_rows(tmp_path / "pairs.jsonl")[0] == rows
    other = load_dataset(
        "json",
        data_files=str(tmp_path / "pairs.jsonl"),
        split="train",
        cache_dir=str(tmp_path / "cache"),
    )
    assert list(other) == rows


@pytest.mark.parametrize("name", make.SHIPPED)
def test_shipped_files_can_be_made_again_and_read_by_datasets(name, tmp_path):
    function, arguments = make.SHIPPED[name]
    kind = "labels" if "thumbs" in name else "pairs"
    rows, _ = read_rows(data.data_path(name), kind)
    assert len(rows) == arguments["n"]
    if (
        kind == "pairs"
    ):  # rows are drawn one after the other, so a slice is the same as the beginning of the whole
        assert function(**arguments | {"n": 200}) == rows[:200]
    else:
        assert function(**arguments) == rows
    other = load_dataset(
        "json", data_files=str(data.data_path(name)), split="train", cache_dir=str(tmp_path)
    )
    assert len(other) == len(rows)
    assert other[0] == rows[0]


def test_training_and_test_pairs_share_no_prompt():
    train, test = (
        read_rows(data.data_path(f"reviews_pairs_{s}.jsonl"))[0] for s in ("train", "test")
    )
    assert len(train) >= 4000
    assert len(test) >= 500
    assert {r["prompt"] for r in train}.isdisjoint(r["prompt"] for r in test)


def test_the_data_card_has_the_checksum_of_every_shipped_file():
    card = data.data_path("README.md").read_text()
    for name in (
        *make.SHIPPED,
        "reviews_labels.jsonl",
        "tiny/model.safetensors",
        "tiny/tokenizer.json",
    ):
        assert f"{make.sha256(data.data_path(name))}  {name}" in card, name
    assert data.data_path("tiny/model.safetensors").stat().st_size <= 4_000_000


# ---------------------------------------------------------------- tokens


@pytest.fixture(scope="module")
def tokenizer():
    return review_tokenizer()


def test_responses_end_with_one_eos_and_prompts_with_none(tokenizer):
    (example,) = encode(tokenizer, "film : how was the plot ?", "the plot was good .")
    assert tokenizer.decode(example.ids) == "film : how was the plot ? the plot was good . <eos>"
    assert tokenizer.decode(example.ids[example.prompt_length :]) == "the plot was good . <eos>"
    assert example.response_length == 6
    (again,) = encode(tokenizer, "film : how was the plot ?", "the plot was good . <eos>")
    assert again == example  # an end that is there already is not doubled


def test_an_empty_prompt_starts_with_a_token_that_can_predict(tokenizer):
    (example,) = encode(tokenizer, "", "the plot was good .")
    assert example.prompt_length == 1


def test_truncation_cuts_the_prompt_and_never_the_response(tokenizer):
    long = "film : how was the plot ? " * 5
    chosen, rejected = fit(
        encode(tokenizer, long, "the plot was good .", "the plot was good . thank you ."), 14
    )
    assert len(rejected.ids) == 14
    assert tokenizer.decode(rejected.ids).endswith(
        "the plot ? the plot was good . thank you . <eos>"
    )
    assert (
        chosen.ids[: chosen.prompt_length] == rejected.ids[: rejected.prompt_length]
    )  # both lose the same
    with pytest.raises(DataError, match="6 tokens, which leaves no room"):
        fit(encode(tokenizer, long, "the plot was good ."), 6)
    found, report = encode_rows(
        tokenizer, [{"prompt": long, "completion": "the plot was good ."}], max_length=12
    )
    assert len(found) == 1
    assert "the prompt is cut at its beginning to fit into 12 tokens" in str(report)  # not unseen
    rows = [
        {"prompt": long, "chosen": "the plot was good .", "rejected": "the plot was good . " * 4}
    ] * 2
    with pytest.raises(DataError, match="row 1"):
        encode_rows(tokenizer, rows, max_length=12)
    found, report = encode_rows(tokenizer, rows, max_length=12, skip_bad=True)
    assert found == []
    assert report.left_out.total() == 2


CHAT = (
    "{% for m in messages %}<|{{ m.role }}|> {{ m.content }} <eos>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|> {% endif %}"
)


def test_messages_go_through_the_chat_template_with_one_end_of_turn_scored():
    tokenizer = review_tokenizer()
    user, answer = (
        [{"role": "user", "content": "the plot ?"}],
        [{"role": "assistant", "content": "the plot was good ."}],
    )
    with pytest.raises(DataError, match="no chat template"):
        encode(tokenizer, user, answer)
    tokenizer.chat_template = CHAT
    for prompt in (user, "the plot ?"):
        (example,) = encode(tokenizer, prompt, answer)
        assert tokenizer.decode(example.ids[example.prompt_length :]) == "the plot was good . <eos>"
        assert tokenizer.decode(example.ids[: example.prompt_length]).endswith(
            "<unk>"
        )  # the assistant's header is prompt


def test_collate_masks_come_from_lengths_even_if_padding_is_the_end_token(tokenizer):
    rows = encode(
        tokenizer,
        "film : how was the plot ?",
        "the plot was good .",
        "the plot bored me . thank you .",
    )
    for side in ("right", "left"):
        batch = collate(rows, tokenizer.eos_token_id, side)
        assert batch["response_mask"].sum(-1).tolist() == [6, 9]
        assert batch["attention_mask"].sum(-1).tolist() == [len(r.ids) for r in rows]
        ends = batch["input_ids"][batch["response_mask"]] == tokenizer.eos_token_id
        assert ends.sum() == 2  # each row's own end is scored, its padding is not


def test_data_path_names_what_is_missing():
    with pytest.raises(DataError, match="ships no 'nothing'"):
        data.data_path("nothing")
