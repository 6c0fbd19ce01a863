"""Zephyr's recipe: what becomes a pair, a run that is cut short, and `dpo feedback`."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from dpo_from_scratch import feedback, world
from dpo_from_scratch.cli import main
from dpo_from_scratch.data import DataError, read_rows, write_rows
from dpo_from_scratch.models import load_model, save_model
from dpo_from_scratch.training import TrainConfig, stages

FILES = ("responses.jsonl", "scores.jsonl", "pairs.jsonl")
GROUPS = [
    {"prompt": "p", "responses": ["a", "b", "c", "d"], "scores": [1.0, 3.0, 2.0, 0.0]},
    {"prompt": "q", "responses": ["a", "b", "c"], "scores": [1.0, 1.0, 1.0]},
    {"prompt": "r", "responses": ["a"], "scores": [1.0]},
    {"prompt": "s", "responses": ["a", "b", "c"], "scores": [2.0, 2.0, 0.0]},
]


def judge(prompt, texts):
    return [world.reward(prompt, t) for t in texts]


def test_the_best_is_paired_with_a_random_other_or_with_the_worst():
    worst = feedback.binarise(GROUPS, "worst")
    assert [(r["prompt"], r["rejected"]) for r in worst] == [("p", "d"), ("s", "c")]
    assert worst[0]["chosen"] == "b"
    drawn = [feedback.binarise(GROUPS, "random", seed)[0] for seed in range(30)]
    assert {r["rejected"] for r in drawn} == {"a", "c", "d"}
    assert {r["chosen"] for r in drawn} == {"b"}
    assert feedback.binarise(GROUPS, "random", 3) == feedback.binarise(GROUPS, "random", 3)


def test_a_random_other_is_each_of_the_others_equally_often():
    rows = feedback.binarise(GROUPS[:1] * 3000, "random")
    share = [sum(r["rejected"] == t for r in rows) / len(rows) for t in "acd"]
    assert max(abs(s - 1 / 3) for s in share) < 0.04


def test_the_rubric_likes_kind_words_the_topic_and_short_texts():
    pytest.importorskip("vaderSentiment")
    prompt = "Write a one-sentence review of the film's lead actor."
    good, off, bad, long = feedback.rubric(
        prompt,
        ["A great actor.", "A great film.", "A terrible actor.", "A great actor." + " yes" * 40],
    )
    assert good > off > bad
    assert good > long


def test_prompts_to_train_on_and_prompts_held_out_have_no_aspect_in_common():
    assert len(feedback.PROMPTS) == 24
    assert len(feedback.HELD_OUT) == 8
    assert not set(feedback.PROMPTS) & set(feedback.HELD_OUT)


def run(folder, judge=judge, steps=6):
    model, tokenizer = load_model("tiny")
    config = TrainConfig(
        steps=steps, batch_size=8, learning_rate=5e-4, beta=0.6, save_every=2, seed=3
    )
    pairs, history = feedback.pipeline(
        folder, model, tokenizer, world.prompts()[:8], judge, "random", 4, config
    )
    return model, pairs, history


def test_a_killed_pipeline_goes_on_and_ends_with_the_same_weights(tmp_path):
    whole, pairs, _ = run(tmp_path / "whole")

    def interrupted(prompt, texts):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", interrupted)
    assert sorted(p.name for p in (tmp_path / "cut").iterdir()) == ["made_by.json", FILES[0]]
    again, same, history = run(tmp_path / "cut")
    assert same == pairs
    assert len(history) == 6
    assert all(
        torch.equal(a, b) for a, b in zip(whole.parameters(), again.parameters(), strict=True)
    )
    lines = (tmp_path / "cut" / "scores.jsonl").read_text().splitlines()
    first = json.loads(lines[0])
    assert first["scores"] == judge(first["prompt"], first["responses"])
    assert len(lines) == 32


def test_a_finished_pipeline_is_read_and_gives_the_trained_model(tmp_path):
    first, _, history = run(tmp_path / "run")
    second, _, same = run(tmp_path / "run", judge=lambda prompt, texts: 1 / 0)
    assert same == history
    assert all(
        torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True)
    )


def test_a_judge_that_likes_all_equally_leaves_no_pair(tmp_path):
    with pytest.raises(DataError, match="nothing to choose"):
        run(tmp_path / "run", judge=lambda prompt, texts: [0.0] * len(texts))


@pytest.mark.parametrize("scores", [[1.0], [1.0, 2.0, float("nan")]])
def test_a_judge_must_give_one_finite_number_for_each_text(scores):
    with pytest.raises(DataError, match="one finite number for each"):
        feedback.scored(
            [{"prompt": "p", "responses": ["a", "b", "c"]}], lambda prompt, texts: scores
        )


def test_the_rubric_looks_for_whole_words():
    pytest.importorskip("vaderSentiment")
    said, hidden = feedback.rubric(
        "Write a one-sentence review of the hotel's view.", ["The view.", "My review."]
    )
    assert said == hidden + 0.5


# ---------------------------------------------------------------- prompts that are messages
SYSTEM = {"role": "system", "content": "film"}
USER = {"role": "user", "content": "film : how was the plot ?"}


def talking():
    """The tiny model with a chat template, so that it can be asked in messages."""
    model, tokenizer = load_model("tiny")
    tokenizer.chat_template = "{% for m in messages %}{{ m['content'] }} {% endfor %}"
    return model, tokenizer


def asked_of(prompt, monkeypatch, talks=True):
    """What each source hands to the model for one prompt."""
    seen = []

    def sample(model, tokenizer, prompts, **how):
        seen.extend(prompts)
        return real(model, tokenizer, prompts, **how)

    real = feedback.sample_shared
    monkeypatch.setattr(feedback, "sample_shared", sample)
    feedback.respond(*(talking() if talks else load_model("tiny")), [prompt])
    return seen


def test_a_string_gets_the_chat_template_put_round_it_where_there_is_one(monkeypatch):
    text = USER["content"]
    systems = [system for system, _ in feedback.SOURCES.values()]
    expected = [
        [*([{"role": "system", "content": s}] if s else []), {"role": "user", "content": text}]
        for s in systems
    ]
    assert asked_of(text, monkeypatch) == expected
    assert asked_of(text, monkeypatch, talks=False) == [text, text]


def test_messages_are_used_as_they_are_but_for_a_system_prompt_where_they_hold_none(monkeypatch):
    systems = [system for system, _ in feedback.SOURCES.values()]
    expected = [[*([{"role": "system", "content": s}] if s else []), USER] for s in systems]
    assert asked_of([USER], monkeypatch) == expected
    assert asked_of([SYSTEM, USER], monkeypatch) == [[SYSTEM, USER]] * 4


def test_messages_are_written_into_pairs_as_messages():
    prompt = [SYSTEM, USER]
    groups = [{"prompt": prompt, "responses": ["a", "b"], "scores": [0.0, 1.0]}, GROUPS[0]]
    of_messages, of_text = feedback.binarise(groups, "worst")
    assert of_messages == {
        "prompt": prompt,
        "chosen": [{"role": "assistant", "content": "b"}],
        "rejected": [{"role": "assistant", "content": "a"}],
    }
    assert of_text == {"prompt": "p", "chosen": "b", "rejected": "d"}
    assert feedback.as_chats([of_messages]) == [of_messages]
    assert feedback.as_chats([of_text])[0]["prompt"] == [{"role": "user", "content": "p"}]


def test_the_rubric_reads_what_the_user_said_last():
    pytest.importorskip("vaderSentiment")
    text = "Write a one-sentence review of the hotel's view."
    prompt = [{"role": "user", "content": "Hello."}, {"role": "user", "content": text}]
    texts = ["The view.", "My review.", "A great view !"]
    assert feedback.rubric(prompt, texts) == feedback.rubric(text, texts)
    assert feedback.rubric("", ["fine"]) == feedback.rubric(".", ["fine"])  # nothing is asked for


def test_the_command_takes_messages_and_its_pairs_train(tmp_path, capsys):
    save_model(*talking(), tmp_path / "talking")
    rows = [{"prompt": [SYSTEM, USER]}, {"prompt": [USER]}, {"prompt": world.prompts()[0]}]
    write_rows(tmp_path / "prompts.jsonl", rows)
    model = ["--model", str(tmp_path / "talking")]
    small = ["--preset", "tiny", "--steps", "2", "--batch-size", "4"]
    given = ["--prompts", str(tmp_path / "prompts.jsonl"), "--judge", "reviews", "--groups", "3"]
    assert main(["feedback", "--out", str(tmp_path / "run"), *model, *given, *small]) == 0
    pairs, _ = read_rows(tmp_path / "run" / "pairs.jsonl")
    kinds = {type(row["prompt"]) for row in pairs}
    assert kinds == {str, list}
    assert all(type(row["prompt"]) is type(row["chosen"]) is type(row["rejected"]) for row in pairs)
    again = ["--data", str(tmp_path / "run" / "pairs.jsonl"), "--out", str(tmp_path / "again")]
    assert main(["train", *again, *model, *small]) == 0
    capsys.readouterr()
    no_template = ["--out", str(tmp_path / "other"), "--model", "tiny"]
    assert main(["feedback", *no_template, *given]) == 2
    assert "the tokenizer has no chat template" in capsys.readouterr().err


# ---------------------------------------------------------------- the command
JUDGE = """
import os, signal

def scores(prompt, texts):
    return [len(t) for t in texts]

def compare(prompt, first, second):
    return float(len(first) > len(second))

def interrupted(prompt, texts):
    raise KeyboardInterrupt

def killed(prompt, texts):
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def given(tmp_path):
    """Arguments of a small run, but for --out and --judge."""
    write_rows(tmp_path / "prompts.jsonl", [{"prompt": p} for p in world.prompts()[:5]])
    (tmp_path / "mine.py").write_text(JUDGE)
    return ["--model", "tiny", "--prompts", str(tmp_path / "prompts.jsonl"), "--steps", "2"]


def judged_by(tmp_path, name):
    return ["--judge", f"{tmp_path / 'mine.py'}:{name}"]


def texts_of(folder):
    return [(Path(folder) / name).read_text() for name in FILES]


def test_the_command_takes_prompts_and_a_judge_of_ones_own(tmp_path, given, capsys):
    command = ["feedback", "--out", str(tmp_path / "run"), *given, *judged_by(tmp_path, "scores")]
    told = []
    for more in ([], ["--resume"]):
        assert main([*command, *more]) == 0
        told.append(capsys.readouterr().out)
    lines = [text.splitlines() for text in told]
    assert "holds this run, and it is finished" in lines[1][2]
    assert lines[0][:2] == lines[1][:2]
    assert lines[0][-1] == lines[1][-1]
    assert told[0].startswith("options: loss dpo, beta 0.6, ")
    assert "steps 2" in told[0].splitlines()[0]
    assert "pairs; accuracy of the last step" in told[0]
    rows = read_rows(tmp_path / "run" / "pairs.jsonl")[0]
    assert rows
    assert all(len(r["chosen"]) > len(r["rejected"]) for r in rows)
    assert len((tmp_path / "run" / "responses.jsonl").read_text().splitlines()) == 5 * 4
    load_model(str(tmp_path / "run" / "dpo" / "model"))


def test_groups_and_rule_do_what_they_say(tmp_path, given):
    for rule in ("random", "worst"):
        more = ["--groups", "6", "--rule", rule, *judged_by(tmp_path, "scores")]
        assert main(["feedback", "--out", str(tmp_path / rule), *given, *more]) == 0
    groups = [json.loads(line) for line in texts_of(tmp_path / "worst")[1].splitlines()]
    assert len(groups) == 5 * 6
    pairs = read_rows(tmp_path / "worst" / "pairs.jsonl")[0]
    assert pairs == feedback.binarise(groups, "worst")
    assert read_rows(tmp_path / "random" / "pairs.jsonl")[0] == feedback.binarise(groups, "random")


@pytest.mark.parametrize("name", ["reviews", "panel"])
def test_the_review_worlds_judges_ask_the_review_worlds_prompts(tmp_path, name):
    out = ["--out", str(tmp_path / "run"), "--model", "tiny", "--judge", name]
    assert main(["feedback", *out, "--groups", "1", "--steps", "1"]) == 0
    rows = [json.loads(line) for line in texts_of(tmp_path / "run")[0].splitlines()]
    assert [row["prompt"] for row in rows] == world.prompts("train")


def test_a_judge_of_two_responses_ranks_as_its_own_comparisons_say(tmp_path, given):
    for name in ("scores", "compare"):
        out = ["--out", str(tmp_path / name), "--rule", "worst"]
        assert main(["feedback", *out, *given, *judged_by(tmp_path, name)]) == 0
    by_scores, by_comparison = (texts_of(tmp_path / name) for name in ("scores", "compare"))
    assert by_scores[0] == by_comparison[0]
    assert by_scores[1] != by_comparison[1]
    lengths = [
        [(len(row["chosen"]), len(row["rejected"])) for row in map(json.loads, text.splitlines())]
        for text in (by_scores[2], by_comparison[2])
    ]
    assert lengths[0] == lengths[1]


def test_a_folder_that_holds_stages_is_refused_without_resume(tmp_path, given, capsys):
    own = ["--out", str(tmp_path / "run"), *given, *judged_by(tmp_path, "scores")]
    (tmp_path / "run").mkdir()
    assert main(["feedback", *own]) == 0  # an empty folder is no run
    before = {p: p.read_bytes() for p in (tmp_path / "run").rglob("*") if p.is_file()}
    capsys.readouterr()
    assert main(["feedback", *own]) == 2
    told = capsys.readouterr().err
    assert told.startswith("dpo feedback: ")
    assert "holds responses.jsonl, scores.jsonl, pairs.jsonl, dpo of an earlier run" in told
    assert "--resume" in told
    assert told.count("\n") == 1
    assert before == {p: p.read_bytes() for p in (tmp_path / "run").rglob("*") if p.is_file()}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (["--steps", "3"], "steps was 2 and is 3"),
        (["--beta", "0.7"], "beta was 0.6 and is 0.7"),
        (["--groups", "3"], "groups was 4 and is 3"),
    ],
)
def test_a_run_does_not_go_on_with_other_settings(tmp_path, given, capsys, changed, message):
    own = ["--out", str(tmp_path / "run"), *given, *judged_by(tmp_path, "scores")]
    assert main(["feedback", *own]) == 0
    assert main(["feedback", *own, "--resume", *changed]) == 2
    assert message in capsys.readouterr().err


def test_a_command_that_was_killed_goes_on_with_resume_and_ends_the_same(tmp_path, given):
    scores = judged_by(tmp_path, "scores")
    whole, cut = (["--out", str(tmp_path / name), *given] for name in ("whole", "cut"))
    assert main(["feedback", *whole, *scores]) == 0
    command = [sys.executable, "-m", "dpo_from_scratch", "feedback", *cut]
    killed = subprocess.run([*command, *judged_by(tmp_path, "killed")], capture_output=True)
    assert killed.returncode == -signal.SIGKILL
    left = {p.name for p in (tmp_path / "cut").iterdir()}
    assert left == {"made_by.json", FILES[0], "run.lock"}  # a lock that locks nobody out
    assert main(["feedback", *cut, *scores]) == 2
    assert main(["feedback", *cut, *scores, "--resume"]) == 0
    assert texts_of(tmp_path / "whole") == texts_of(tmp_path / "cut")
    for name in ("metrics.jsonl", "model/model.safetensors"):
        theirs = (tmp_path / "whole" / "dpo" / name).read_bytes()
        assert (tmp_path / "cut" / "dpo" / name).read_bytes() == theirs


@pytest.mark.parametrize(("noted", "stream"), [("row", "row"), (None, "batch")])
def test_responses_that_are_made_again_come_from_the_stream_that_the_run_began_with(
    noted, stream, tmp_path, monkeypatch
):
    """A run that was begun before rows had draws of their own noted no stream."""
    run(tmp_path / "run")
    path, drawn, sample = tmp_path / "run" / "made_by.json", set(), feedback.sample_shared
    notes = json.loads(path.read_text())
    assert notes[FILES[0]].pop("stream") == "row"
    notes[FILES[0]] |= {"stream": noted} if noted else {}
    path.write_text(json.dumps(notes))
    run(tmp_path / "run")  # which is there, so nobody looks
    for name in FILES:
        (tmp_path / "run" / name).unlink()
    shutil.rmtree(tmp_path / "run" / "dpo")

    def watched(*given, **how):
        drawn.add(how["stream"])
        return sample(*given, **how)

    monkeypatch.setattr(feedback, "sample_shared", watched)
    run(tmp_path / "run")
    assert drawn == {stream}
    assert json.loads(path.read_text())[FILES[0]]["stream"] == stream


def test_ctrl_c_names_the_run_and_resume_and_training_goes_on_too(
    tmp_path, given, capsys, monkeypatch
):
    scores = judged_by(tmp_path, "scores")
    longer = [*given, "--steps", "6"]
    whole, cut = (["--out", str(tmp_path / name), *longer] for name in ("whole", "cut"))
    assert main(["feedback", *cut, *judged_by(tmp_path, "interrupted")]) == 130
    told = capsys.readouterr().err.splitlines()[-1]
    assert told == f"dpo feedback: stopped before its end; {tmp_path / 'cut'} goes on with --resume"

    def stop(step, row):
        if step == 3:
            os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patched:
        real = stages.train
        patched.setattr(stages, "train", lambda *a, **k: real(*a, on_step=stop, **k))
        assert main(["feedback", *cut, *scores, "--resume"]) == 130
    assert f"{tmp_path / 'cut'} goes on with --resume" in capsys.readouterr().err
    assert list((tmp_path / "cut" / "dpo").glob("checkpoint-*3"))
    assert main(["feedback", *cut, *scores, "--resume"]) == 0
    assert main(["feedback", *whole, *scores]) == 0
    for name in ("metrics.jsonl", "model/model.safetensors"):
        theirs = (tmp_path / "whole" / "dpo" / name).read_bytes()
        assert (tmp_path / "cut" / "dpo" / name).read_bytes() == theirs


def test_without_vader_one_sentence_says_what_to_install(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "vaderSentiment", None)
    monkeypatch.setitem(sys.modules, "vaderSentiment.vaderSentiment", None)
    feedback.vader.cache_clear()
    assert main(["feedback", "--out", str(tmp_path / "run"), "--model", "tiny"]) == 2
    told = capsys.readouterr().err
    assert told.startswith("dpo feedback: the rubric needs vaderSentiment")
    assert "`pip install vaderSentiment`" in told
    assert "extra `feedback`" in told
    assert told.count("\n") == 1
    assert not (tmp_path / "run").exists()  # it was said before anything was made
    other = ["--judge", "reviews", "--groups", "1", "--steps", "1"]
    assert main(["feedback", "--out", str(tmp_path / "run"), "--model", "tiny", *other]) == 0


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (["--judge", "none.py:judge"], "give rubric, reviews, panel or FILE.py:FUNCTION"),
        (["--judge", "none"], "'none' is no judge"),
        (["--prompts", "none.jsonl"], "none.jsonl: no such file"),
        (["--model", "none"], "'none' is no folder here"),
        (["--groups", "0"], "--groups must be 1 or more"),
        (["--loss", "sft"], "loss 'sft' takes texts"),
        (["--beta", "-1"], "beta must be positive"),
    ],
)
def test_what_a_user_can_mend_is_told_in_one_sentence(tmp_path, wrong, message, capsys):
    known = ["--out", str(tmp_path / "run"), "--model", "tiny", "--judge", "reviews"]
    assert main(["feedback", *known, *wrong]) == 2
    told = capsys.readouterr().err.strip().splitlines()[-1]
    assert told.startswith("dpo feedback: ")
    assert message in told
    with pytest.raises(ValueError):
        main(["feedback", *known, *wrong, "--debug"])


# ---------------------------------------------------------------- what the stages remember
OTHERS = {
    "judge was 'mine.py:scores (": ["--judge", "PLACE/other/mine.py:scores"],
    "rule was 'random' and is 'worst'": ["--rule", "worst"],
    "groups was 4 and is 3": ["--groups", "3"],
    "prompts was ": ["--prompts", "PLACE/others.jsonl"],
    "model was ": ["--model", "PLACE/other_model"],
    "seed was 0 and is 1": ["--seed", "1"],
    "max_new_tokens was 64 and is 40": ["--max-new-tokens", "40"],
    "steps was 2 and is 3": ["--steps", "3"],
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A place with a run that is done, and its arguments but for --out."""
    place = tmp_path_factory.mktemp("finished")
    write_rows(place / "prompts.jsonl", [{"prompt": p} for p in world.prompts()[:5]])
    write_rows(place / "others.jsonl", [{"prompt": p} for p in world.prompts()[1:6]])
    (place / "other").mkdir()
    (place / "mine.py").write_text(JUDGE)
    (place / "other" / "mine.py").write_text(JUDGE.replace("len(t)", "-len(t)"))
    model, tokenizer = load_model("tiny")
    next(model.parameters()).data[0, 0] += 0.5
    save_model(model, tokenizer, place / "other_model")
    given = ["--model", "tiny", "--prompts", str(place / "prompts.jsonl"), "--steps", "2"]
    given += ["--preset", "tiny", "--judge", f"{place / 'mine.py'}:scores"]
    assert main(["feedback", "--out", str(place / "run"), *given]) == 0
    return place, given


def all_of(folder):
    return {p: p.read_bytes() for p in Path(folder).rglob("*") if p.is_file()}


@pytest.mark.parametrize("what", OTHERS)
def test_stages_are_not_mixed_with_what_made_others(what, finished, capsys):
    place, given = finished
    before = all_of(place / "run")
    changed = [text.replace("PLACE", str(place)) for text in OTHERS[what]]
    own = ["feedback", "--out", str(place / "run"), *given, *changed]
    for more, words in (["--resume"], ["can't go on"]), ([], ["--resume", "--overwrite", "--out"]):
        assert main([*own, *more]) == 2
        told = capsys.readouterr().err.strip().splitlines()[-1]
        assert all(word in told for word in (what, str(place / "run"), *words))
    assert all_of(place / "run") == before


def test_the_same_responses_are_scored_again_once_the_scores_are_deleted(finished, tmp_path):
    place, given = finished
    shutil.copytree(place / "run", tmp_path / "run")
    other = ["--judge", f"{place / 'other' / 'mine.py'}:scores", "--resume"]
    for name in ("scores.jsonl", "pairs.jsonl"):
        (tmp_path / "run" / name).unlink()
    own = ["feedback", "--out", str(tmp_path / "run"), *given, *other]
    assert main(own) == 2  # the run of DPO is still that of the first judge's pairs
    shutil.rmtree(tmp_path / "run" / "dpo")
    assert main(own) == 0
    first, second = texts_of(place / "run"), texts_of(tmp_path / "run")
    assert first[0] == second[0]
    assert all(
        len(r["chosen"]) < len(r["rejected"]) for r in map(json.loads, second[2].split("\n")[:-1])
    )


@pytest.mark.parametrize("name", [*FILES, "made_by.json", "dpo/metrics.jsonl"])
@pytest.mark.parametrize("how", ["half", "empty", "edited"])
def test_a_damaged_stage_is_one_sentence_and_deleted_it_is_made_again(
    name, how, finished, tmp_path, capsys
):
    place, given = finished
    shutil.copytree(place / "run", tmp_path / "run")
    path = tmp_path / "run" / name
    text = path.read_text()
    edited = {"made_by.json": ("1", "2"), "dpo/metrics.jsonl": ("}", "}}")}.get(name, (" .", " !"))
    broken = {"half": text[: len(text) // 2], "empty": "", "edited": text.replace(*edited, 1)}[how]
    assert broken != text
    path.write_text(broken)
    own = ["feedback", "--out", str(tmp_path / "run"), *given, "--resume"]
    assert main(own) == 2
    told = capsys.readouterr().err.strip().splitlines()[-1]
    assert told.startswith("dpo feedback: ")
    assert str(tmp_path / "run") in told
    after = {"made_by.json": ["made_by.json"], "dpo/metrics.jsonl": ["dpo"]}.get(name, [name])
    for gone in after:
        shutil.rmtree(tmp_path / "run" / gone, ignore_errors=True)
        (tmp_path / "run" / gone).unlink(missing_ok=True)
    assert main(own) == 0
    assert texts_of(tmp_path / "run") == texts_of(place / "run")


def test_overwrite_deletes_what_the_run_made_and_nothing_else(finished, tmp_path, capsys):
    place, given = finished
    shutil.copytree(place / "run", tmp_path / "run")
    (tmp_path / "run" / "notes.txt").write_text("mine")
    (tmp_path / "run" / "dpo" / "figure.png").write_text("mine")
    own = ["feedback", "--out", str(tmp_path / "run"), *given, "--rule", "worst", "--overwrite"]
    assert main([*own, "--resume"]) == 2
    assert "give one of the two" in capsys.readouterr().err
    assert main(own) == 0
    assert (tmp_path / "run" / "notes.txt").read_text() == "mine"
    assert (tmp_path / "run" / "dpo" / "figure.png").read_text() == "mine"
    assert '"rule": "worst"' in (tmp_path / "run" / "made_by.json").read_text()
    for name in ("theirs", "file"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "scores.jsonl").write_text("mine")
    assert main(["feedback", "--out", str(tmp_path / "theirs"), *given, "--overwrite"]) == 2
    assert "no made_by.json that tells whose" in capsys.readouterr().err
    assert (tmp_path / "theirs" / "scores.jsonl").read_text() == "mine"
    assert main(["feedback", "--out", str(tmp_path / "file" / "scores.jsonl"), *given]) == 2
    assert "can't write a run to" in capsys.readouterr().err
    assert main(["feedback", "--out", "", *given]) == 2
    assert "--out is empty" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["dpo", "scores.jsonl"])
def test_a_link_in_the_place_of_a_stage_is_not_followed(name, finished, tmp_path, capsys):
    place, given = finished
    shutil.copytree(place / "run", tmp_path / "run")
    (tmp_path / "run" / name).rename(tmp_path / "elsewhere")
    (tmp_path / "run" / name).symlink_to(tmp_path / "elsewhere")
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    for how in ("--resume", "--overwrite"):
        assert main(["feedback", "--out", str(tmp_path / "run"), *given, how]) == 2
        assert f"{name} is a link, which a run would write" in capsys.readouterr().err
    assert before == {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}


def test_two_at_once_and_sigterm(finished, tmp_path, capsys):
    _, given = finished
    (tmp_path / "mine.py").write_text(
        "import os, signal\n"
        "from dpo_from_scratch.cli import main\n"
        "def nested(prompt, texts):\n"
        f"    assert main(['feedback', '--out', {str(tmp_path / 'run')!r}, *{given!r}]) == 2\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    return [0.0 for t in texts]\n"
    )
    own = ["feedback", "--out", str(tmp_path / "run"), *given]
    status = main([*own, "--judge", f"{tmp_path / 'mine.py'}:nested"])
    told = capsys.readouterr().err
    assert f"another process is writing to {tmp_path / 'run'}" in told
    last = told.strip().splitlines()[-1]
    assert last == f"dpo feedback: stopped before its end; {tmp_path / 'run'} goes on with --resume"
    assert status == 128 + signal.SIGTERM
    assert (tmp_path / "run" / "responses.jsonl").exists()


# ---------------------------------------------------------------- cut off, and no system turn
def test_where_most_responses_were_cut_off_the_length_is_to_blame_before_the_judge_is_asked(
    finished, tmp_path, capsys
):
    place, given = finished
    asked = [*given, "--judge", f"{place / 'mine.py'}:killed", "--max-new-tokens", "2"]
    assert main(["feedback", "--out", str(tmp_path / "run"), *asked]) == 2
    told = capsys.readouterr().err.strip().splitlines()[-1]
    assert "40 of 40 responses had not come to their end" in told
    assert "--max-new-tokens" in told
    assert not (tmp_path / "run" / "responses.jsonl").exists()
    some = [*given, "--max-new-tokens", "24"]
    assert main(["feedback", "--out", str(tmp_path / "some"), *some]) == 0
    groups = [json.loads(line) for line in texts_of(tmp_path / "some")[0].splitlines()]
    cut, kept = sum(g["cut_off"] for g in groups), sum(len(g["responses"]) for g in groups)
    assert cut > 0
    assert f"note: {cut} of {cut + kept} responses had not come to" in capsys.readouterr().out


REFUSES = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}"
SILENT = "{% for m in messages if m['role'] != 'system' %}{{ m['content'] }} {% endfor %}"
EACH = "{% for m in messages %}{{ m['content'] }} {% endfor %}"


@pytest.mark.parametrize("template", [REFUSES + EACH, SILENT])
def test_a_template_without_system_turns_gets_the_system_prompt_in_the_user_s_turn(
    template, monkeypatch
):
    model, tokenizer = talking()
    tokenizer.chat_template = template
    assert not feedback.takes_system_turns(tokenizer)
    assert feedback.takes_system_turns(talking()[1])
    seen = []
    real = feedback.sample_shared
    monkeypatch.setattr(
        feedback, "sample_shared", lambda m, t, p, **k: seen.extend(p) or real(m, t, p, **k)
    )
    with pytest.warns(UserWarning, match="this chat template takes no system turn"):
        groups = feedback.respond(model, tokenizer, [USER["content"], [USER]])
    systems = [system for system, _ in feedback.SOURCES.values() for _ in (0, 1)]
    text = USER["content"]
    assert seen == [[{"role": "user", "content": f"{s}\n\n{text}" if s else text}] for s in systems]
    assert [g["prompt"] for g in groups] == [text, [USER]]
    own = [[{"role": "system", "content": "mine"}, USER]]
    if template != SILENT:
        with pytest.warns(UserWarning, match="no system"), pytest.raises(DataError, match="system"):
            feedback.respond(model, tokenizer, own)
