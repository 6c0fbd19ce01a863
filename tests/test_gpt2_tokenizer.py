"""GPT-2's own tokenizer, as the book ships it: its ids, its bytes, and its license."""

import gzip
import hashlib
import json

import pytest
from conftest import make_shipped

from dpo_from_scratch.data import data_path
from dpo_from_scratch.models import gpt2_tokenizer
from dpo_from_scratch.tokens import encode

# checksums of OpenAI's own files, as tiktoken states them
MERGES = "1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5"
VOCABULARY = "196139668be63f3b5d6574427317ae82f612a97c5d1cdaf36ed2256dbf636783"


@pytest.fixture(scope="module")
def gpt2():
    return gpt2_tokenizer()


def test_the_merges_are_openais_and_the_vocabulary_that_follows_is_openais_too(gpt2):
    packed = data_path("gpt2_tokenizer/vocab.bpe.gz")
    assert hashlib.sha256(gzip.decompress(packed.read_bytes())).hexdigest() == MERGES
    ids = dict(sorted(gpt2.get_vocab().items(), key=lambda item: item[1]))
    assert hashlib.sha256(json.dumps(ids).encode()).hexdigest() == VOCABULARY
    assert f"{make_shipped.sha256(packed)}  gpt2_tokenizer/" in data_path("README.md").read_text()


def test_its_license_is_shipped_with_it():
    text = data_path("gpt2_tokenizer/LICENSE").read_text(encoding="utf-8")
    assert text.startswith("Modified MIT License\n\nSoftware Copyright (c) 2019 OpenAI")
    assert "this permission notice shall be included" in text


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("Hello world", [15496, 995]),
        (" the", [262]),
        ("<|endoftext|>", [50256]),
        ("\n\n", [628]),
    ],
)
def test_known_ids(gpt2, text, ids):
    assert gpt2(text)["input_ids"] == ids


@pytest.mark.parametrize(
    "text", ["don't  stop\t\n", "Ünïcödé 日本 😀", " a , b . c ?", "\x00\xa0\xad"]
)
def test_every_text_comes_back_whole(gpt2, text):
    assert gpt2.decode(gpt2(text)["input_ids"]) == text


def test_prompt_and_response_are_tokenised_apart_and_end_once(gpt2):
    (example,) = encode(gpt2, "Answer: ", "46")
    assert [gpt2.decode([i]) for i in example.ids] == ["Answer", ":", " ", "46", "<|endoftext|>"]
    assert example.prompt_length == 3
    assert len(gpt2("Answer: 46")["input_ids"]) == 3
