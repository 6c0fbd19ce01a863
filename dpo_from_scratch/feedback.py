"""Zephyr's recipe on a model of your own (arXiv 2310.16944): responses, a judge, pairs, DPO.

Several responses to each prompt, the judge scores them, the best is paired with another one, and
DPO trains on the pairs. `dpo feedback` is this from the command line. Each stage writes a file:
responses.jsonl, scores.jsonl, pairs.jsonl, then the run of DPO in dpo/; a stage that is there is
read and not made again.
"""

import json
import random
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

from torch import nn

from .data import DataError
from .judges import Scores, checked_scores, text_of
from .models import load_model
from .sampling import sample
from .training import PRESETS, TrainConfig, train
from .training.runs import write_text

SUBJECTS = {
    "film": ("ending", "lead actor", "music", "plot", "dialogue", "camera work", "humor", "length"),
    "restaurant": ("soup", "service", "desserts", "prices", "decor", "menu", "noise", "wine list"),
    "hotel": ("beds", "breakfast", "location", "staff", "pool", "view", "lobby", "bathrooms"),
    "book": (
        "first chapter",
        "main character",
        "style",
        "cover",
        "illustrations",
        "message",
        "twist",
        "pace",
    ),
}
# of each subject, six aspects to train on and the last two held out
PROMPTS = [
    f"Write a one-sentence review of the {s}'s {a}."
    for s, aspects in SUBJECTS.items()
    for a in aspects[:6]
]
HELD_OUT = [
    f"Write a one-sentence review of the {s}'s {a}."
    for s, aspects in SUBJECTS.items()
    for a in aspects[6:]
]

SOURCES = {  # who responds: a system prompt (None: the model's own) and a temperature
    "cool": (None, 0.7),
    "plain": (None, 1.0),
    "eager author": ("You are a friendly critic who is easy to please.", 1.0),
    "sour author": ("You are a grumpy critic who is hard to please.", 1.0),
}
# a short run at a high learning rate: what a laptop does in a quarter of an hour
ROUNDS, STEPS, RATE = 4, 12, 5e-4
DEFAULTS = {"steps": STEPS, "learning_rate": RATE, "save_every": 4}
STAGES = ("responses.jsonl", "scores.jsonl", "pairs.jsonl", "dpo")


# ---------------------------------------------------------------- responses
def respond(
    model: nn.Module,
    tokenizer,
    prompts: list,
    rounds: int = 1,
    seed: int = 0,
    max_new_tokens: int = 64,
) -> list[dict]:
    """One response of every source to every prompt, `rounds` times.

    Rows {"prompt", "responses", "sources"}, `rounds` of them for each prompt. A prompt is a string
    or a list of messages. A text that was cut off is dropped: as a response it would teach the
    model to stop in mid-sentence. So are copies. Without a chat template there are no system
    prompts, and only the sources that differ in temperature respond; DataError for messages.
    """
    talks = tokenizer.chat_template is not None
    groups: list[dict] = [
        {"prompt": p, "responses": [], "sources": []} for p in prompts for _ in range(rounds)
    ]
    for number, (source, (system, temperature)) in enumerate(SOURCES.items()):
        if system and not talks:
            continue
        drawn = sample(
            model,
            tokenizer,
            [_asked(g["prompt"], system, talks) for g in groups],
            temperature=temperature,
            max_new_tokens=max_new_tokens,
            batch_size=64,
            seed=10 * seed + number,
        )
        for group, s in zip(groups, drawn, strict=True):
            if s.finished and s.text.strip() and s.text not in group["responses"]:
                group["responses"].append(s.text)
                group["sources"].append(source)
    return groups


def _asked(prompt: str | list[dict], system: str | None, talks: bool) -> str | list[dict]:
    """The prompt as the model gets it, with the system prompt first where it holds none."""
    if isinstance(prompt, str):
        if not talks:
            return prompt
        prompt = [{"role": "user", "content": prompt}]
    if system and all(message["role"] != "system" for message in prompt):
        return [{"role": "system", "content": system}, *prompt]
    return prompt


# ---------------------------------------------------------------- the judge and the pairs
@cache
def vader():
    """The analyser of vaderSentiment (Hutto and Gilbert, ICWSM 2014); DataError without it."""
    try:
        from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer
    except ImportError:
        mend = "`pip install vaderSentiment`, or this package with its extra `feedback`"
        raise DataError(f"the rubric needs vaderSentiment, which is missing: {mend}") from None
    return SentimentIntensityAnalyzer()


def sentiment(text: str) -> float:
    """VADER's compound sentiment of a text, from -1 to 1."""
    return vader().polarity_scores(text)["compound"]


def rubric(prompt: str | list[dict], texts: list[str]) -> list[float]:
    """A judge that needs no network: kind words, the topic, few words; one number for each text.

    The sentiment, half a point for naming what was asked for, less a twentieth for each word past
    20. What was asked for is the prompt's last word, as a whole: "view" doesn't stand in "review".
    """
    words = text_of(prompt).rstrip(".").split("'s ")[-1].lower().split()
    topic = re.compile(rf"\b{re.escape(words[-1])}\b", re.IGNORECASE) if words else None
    return [
        sentiment(t) + 0.5 * bool(topic and topic.search(t)) - 0.05 * max(len(t.split()) - 20, 0)
        for t in texts
    ]


def scored(groups: list[dict], judge: Scores) -> list[dict]:
    """The groups with the judge's "scores".

    DataError if it doesn't give one finite number for each text.
    """
    return [g | {"scores": checked_scores(judge, g["prompt"], g["responses"])} for g in groups]


def binarise(groups: list[dict], rule: str = "random", seed: int = 0) -> list[dict]:
    """Pairs: the best response of each group over a random other one (arXiv 2310.16944).

    With the rule "worst", over the worst. Groups in which all scores are equal, or with fewer than
    two responses, leave no pair. Where the prompt is messages, so are the responses.
    """
    rng, rows = random.Random(seed), []
    for g in groups:
        ranked = sorted(zip(g["scores"], g["responses"], strict=True), reverse=True)
        others = [pair for pair in ranked[1:] if pair[0] < ranked[0][0]]
        if others:
            rejected = others[-1] if rule == "worst" else rng.choice(others)
            row = {"prompt": g["prompt"], "chosen": ranked[0][1], "rejected": rejected[1]}
            rows.append(row if isinstance(g["prompt"], str) else as_chats([row])[0])
    return rows


def as_chats(rows: list[dict]) -> list[dict]:
    """The same pairs as messages, so that the chat template is used; messages stay as they are."""
    roles = {"prompt": "user", "chosen": "assistant", "rejected": "assistant"}

    def message(text: str | list[dict], role: str) -> list[dict]:
        return [{"role": role, "content": text}] if isinstance(text, str) else text

    return [{key: message(row[key], role) for key, role in roles.items()} for row in rows]


# ---------------------------------------------------------------- all of it
def stage(path: Path, make: Callable[[], list[dict]]) -> list[dict]:
    """The rows of a file; where it is missing, they are made and written first."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, "".join(json.dumps(row) + "\n" for row in make()))
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def settings(steps: int, seed: int) -> TrainConfig:
    """The settings of chapter 19: SmolLM2's preset, and a short run at a high learning rate."""
    return TrainConfig(**PRESETS["smollm2"] | DEFAULTS | {"steps": steps, "seed": seed})


def pipeline(
    folder: Path,
    model: nn.Module,
    tokenizer,
    prompts: list,
    judge: Scores,
    rule: str,
    rounds: int,
    config: TrainConfig,
) -> tuple[list[dict], list[dict]]:
    """From prompts to a trained model in `folder`; returns the pairs and the metrics of each step.

    `rounds` groups of responses for each prompt are drawn; `rule` is "random" or "worst". Stages
    that are there are read. `model` is trained in place. DataError if there is nothing to choose,
    or if the folder's responses or model are those of another run.
    """
    asked = [p for p in prompts for _ in range(rounds)]
    groups = stage(
        folder / "responses.jsonl", lambda: respond(model, tokenizer, prompts, rounds, config.seed)
    )
    if [g["prompt"] for g in groups] != asked:
        mend = "give the same prompts and as many groups, or name another folder"
        raise DataError(f"{folder} holds responses to other prompts: {mend}")
    judged = stage(folder / "scores.jsonl", lambda: scored(groups, judge))
    pairs = stage(folder / "pairs.jsonl", lambda: binarise(judged, rule, config.seed))
    if not pairs:
        raise DataError("the judge found nothing to choose: give more prompts, or another judge")
    run = folder / "dpo"
    if (run / "model").exists():
        return pairs, _finished(run, model, config)
    begun = (run / "config.json").exists()
    rows = pairs if tokenizer.chat_template is None else as_chats(pairs)
    return pairs, train(model, tokenizer, rows, config, run, resume=begun)


def _finished(run: Path, model: nn.Module, config: TrainConfig) -> list[dict]:
    """The model takes the weights of a run that is done; returns its metrics."""
    before, now = json.loads((run / "config.json").read_text(encoding="utf-8")), config.resolved()
    changed = [key for key in now if key in before and before[key] != now[key]]
    if changed:
        told = ", ".join(f"{key} was {before[key]!r} and is {now[key]!r}" for key in changed)
        mend = "give the same, or name another folder"
        raise DataError(f"{run} holds a model of other settings ({told}): {mend}")
    model.load_state_dict(load_model(str(run / "model"))[0].state_dict())
    return stage(run / "metrics.jsonl", list)
