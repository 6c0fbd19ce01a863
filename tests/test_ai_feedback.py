"""The pipeline of Zephyr's recipe: what becomes a pair, judges made of comparisons, and a run that is cut short."""

import json
import runpy
import subprocess
import sys

import pytest
import torch

from dpo_from_scratch import world
from dpo_from_scratch.data import DataError, data_path, write_rows
from dpo_from_scratch.models import load_model
from dpo_from_scratch.training import TrainConfig

PATH = data_path("ai_feedback.py")
feedback = runpy.run_path(str(PATH))
GROUPS = [
    {"prompt": "p", "responses": ["a", "b", "c", "d"], "scores": [1.0, 3.0, 2.0, 0.0]},
    {"prompt": "q", "responses": ["a", "b", "c"], "scores": [1.0, 1.0, 1.0]},
    {"prompt": "r", "responses": ["a"], "scores": [1.0]},
    {"prompt": "s", "responses": ["a", "b", "c"], "scores": [2.0, 2.0, 0.0]},
]


def judge(prompt, texts):
    return [world.reward(prompt, t) for t in texts]


def test_the_best_is_paired_with_a_random_other_or_with_the_worst():
    worst = feedback["binarise"](GROUPS, "worst")
    assert [(r["prompt"], r["rejected"]) for r in worst] == [("p", "d"), ("s", "c")]
    assert worst[0]["chosen"] == "b"
    drawn = [feedback["binarise"](GROUPS, "random", seed)[0] for seed in range(30)]
    assert {r["rejected"] for r in drawn} == {"a", "c", "d"}
    assert {r["chosen"] for r in drawn} == {"b"}
    assert feedback["binarise"](GROUPS, "random", 3) == feedback["binarise"](GROUPS, "random", 3)


def test_a_random_other_is_each_of_the_others_equally_often():
    rows = feedback["binarise"](GROUPS[:1] * 3000, "random")
    share = [sum(r["rejected"] == t for r in rows) / len(rows) for t in "acd"]
    assert max(abs(s - 1 / 3) for s in share) < 0.04


def test_both_orders_cancel_a_liking_for_the_first():
    position = feedback["from_comparisons"](lambda prompt, first, second: 1.0)
    assert position("p", ["a", "b", "c"]) == [0.5, 0.5, 0.5]
    longest = feedback["from_comparisons"](lambda prompt, first, second: float(len(first) > len(second)))
    assert longest("p", ["aa", "aaa", "a"]) == [0.5, 1.0, 0.0]
    assert longest("p", ["a"]) == [0.0]


def test_the_rubric_likes_kind_words_the_topic_and_short_texts():
    pytest.importorskip("vaderSentiment")
    prompt = "Write a one-sentence review of the film's lead actor."
    good, off, bad, long = feedback["rubric"](
        prompt, ["A great actor.", "A great film.", "A terrible actor.", "A great actor." + " yes" * 40]
    )
    assert good > off > bad
    assert good > long


def test_prompts_to_train_on_and_prompts_held_out_have_no_aspect_in_common():
    assert len(feedback["PROMPTS"]) == 24
    assert len(feedback["HELD_OUT"]) == 8
    assert not set(feedback["PROMPTS"]) & set(feedback["HELD_OUT"])


def run(folder, judge=judge, steps=6):
    model, tokenizer = load_model("tiny")
    config = TrainConfig(steps=steps, batch_size=8, learning_rate=5e-4, beta=0.6, save_every=2, seed=3)
    pairs, history = feedback["pipeline"](folder, model, tokenizer, world.prompts()[:8], judge, "random", 4, config)
    return model, pairs, history


def test_a_killed_pipeline_goes_on_and_ends_with_the_same_weights(tmp_path):
    whole, pairs, _ = run(tmp_path / "whole")

    def interrupted(prompt, texts):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", interrupted)
    assert [p.name for p in (tmp_path / "cut").iterdir()] == ["responses.jsonl"]
    again, same, history = run(tmp_path / "cut")
    assert same == pairs
    assert len(history) == 6
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), again.parameters(), strict=True))
    lines = (tmp_path / "cut" / "scores.jsonl").read_text().splitlines()
    first = json.loads(lines[0])
    assert first["scores"] == judge(first["prompt"], first["responses"])
    assert len(lines) == 32


def test_a_finished_pipeline_is_read_and_gives_the_trained_model(tmp_path):
    first, _, history = run(tmp_path / "run")
    second, _, same = run(tmp_path / "run", judge=lambda prompt, texts: 1 / 0)
    assert same == history
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


def test_a_judge_that_likes_all_equally_leaves_no_pair(tmp_path):
    with pytest.raises(DataError, match="nothing to choose"):
        run(tmp_path / "run", judge=lambda prompt, texts: [0.0] * len(texts))


@pytest.mark.parametrize("scores", [[1.0], [1.0, 2.0, float("nan")]])
def test_a_judge_must_give_one_finite_number_for_each_text(scores):
    with pytest.raises(DataError, match="one finite number for each"):
        feedback["scored"]([{"prompt": "p", "responses": ["a", "b", "c"]}], lambda prompt, texts: scores)


def test_the_rubric_looks_for_whole_words():
    pytest.importorskip("vaderSentiment")
    said, hidden = feedback["rubric"]("Write a one-sentence review of the hotel's view.", ["The view.", "My review."])
    assert said == hidden + 0.5


def test_the_command_takes_prompts_and_a_judge_of_ones_own(tmp_path):
    write_rows(tmp_path / "prompts.jsonl", [{"prompt": p} for p in world.prompts()[:5]])
    (tmp_path / "mine.py").write_text("def scores(prompt, texts):\n    return [len(t) for t in texts]\n")
    own = ["--prompts", tmp_path / "prompts.jsonl", "--judge", f"{tmp_path / 'mine.py'}:scores", "--rounds", "4", "--steps", "2"]
    command = [sys.executable, PATH, "--out", tmp_path / "run", "--model", "tiny", *own]
    told = [subprocess.run(command, capture_output=True, text=True) for _ in range(2)]
    assert [t.returncode for t in told] == [0, 0]
    assert told[0].stdout == told[1].stdout
    rows = [json.loads(line) for line in (tmp_path / "run" / "pairs.jsonl").read_text().splitlines()]
    assert rows
    assert all(len(r["chosen"]) > len(r["rejected"]) for r in rows)
    load_model(str(tmp_path / "run" / "dpo" / "model"))


@pytest.mark.parametrize(
    "wrong", [["--judge", "none.py:judge"], ["--judge", "none"], ["--prompts", "none.jsonl"], ["--model", "none"]]
)
def test_a_wrong_name_is_told_in_one_sentence(tmp_path, wrong):
    told = subprocess.run(
        [sys.executable, PATH, "--out", tmp_path / "run", "--model", "tiny", *wrong], capture_output=True, text=True
    )
    assert told.returncode == 1
    assert "Traceback" not in told.stderr
    assert "none" in told.stderr
