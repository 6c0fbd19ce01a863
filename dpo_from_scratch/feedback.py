"""Zephyr's recipe on a model of your own (arXiv 2310.16944): responses, a judge, pairs, DPO.

Several responses to each prompt, the judge scores them, the best is paired with another one, and
DPO trains on the pairs. `dpo feedback` is this from the command line. Each stage writes a file:
responses.jsonl, scores.jsonl, pairs.jsonl, then the run of DPO in dpo/; a stage that is there is
read and not made again, if what decides it (made_by.json) is the same.
"""

import random
import sys
import warnings
from contextlib import suppress
from pathlib import Path

from torch import nn
from tqdm.auto import tqdm

from .data import DataError
from .judges import (  # noqa: F401 (rubric, sentiment and vader are asked for here)
    Scores,
    as_chats,
    checked_scores,
    cut_off,
    rubric,
    sentiment,
    vader,
)
from .processes.group import here
from .processes.samples import sample_shared
from .sampling import stream_of
from .training import PRESETS, TrainConfig
from .training.fingerprints import differences, fingerprint
from .training.folders import clear, recorded, refuse_links
from .training.presets import FEEDBACK, FEEDBACK_GROUPS
from .training.stages import NOTES, changed, claimed, noted, stage, trained
from .turns import render

SUBJECTS = {
    "film": ("ending", "lead actor", "music", "plot", "dialogue", "camera work", "humor", "length"),
    "restaurant": ("soup", "service", "desserts", "prices", "decor", "menu", "noise", "wine list"),
    "hotel": ("beds", "breakfast", "location", "staff", "pool", "view", "lobby", "bathrooms"),
    "book": (
        *("first chapter", "main character", "style", "cover"),
        *("illustrations", "message", "twist", "pace"),
    ),
}
# of each subject, six aspects to train on and the last two held out
PROMPTS, HELD_OUT = (
    [
        f"Write a one-sentence review of the {s}'s {a}."
        for s, of in SUBJECTS.items()
        for a in of[part]
    ]
    for part in (slice(6), slice(6, None))
)

SOURCES = {  # who responds: a system prompt (None: the model's own) and a temperature
    "cool": (None, 0.7),
    "plain": (None, 1.0),
    "eager author": ("You are a friendly critic who is easy to please.", 1.0),
    "sour author": ("You are a grumpy critic who is hard to please.", 1.0),
}
DEFAULTS, ROUNDS, STEPS = FEEDBACK, FEEDBACK_GROUPS, FEEDBACK["steps"]
STAGES = ("responses.jsonl", "scores.jsonl", "pairs.jsonl", "dpo")


# ---------------------------------------------------------------- responses
def respond(
    model: nn.Module,
    tokenizer,
    prompts: list,
    rounds: int = 1,
    seed: int = 0,
    max_new_tokens: int = 64,
    progress: bool = False,
    stream: str = "row",
) -> list[dict]:
    """One response of every source to every prompt, `rounds` times.

    Rows {"prompt", "responses", "sources"}, `rounds` of them for each prompt. A prompt is a string
    or a list of messages. A text that was cut off is dropped: as a response it would teach the
    model to stop in mid-sentence; "cut_off" counts them. So are copies. Without a chat template
    there are no system prompts, and only the sources that differ in temperature respond; DataError
    for messages. A template that takes no system turn gets the system prompt at the beginning of
    the user's turn, with a warning. `stream` as `sample` has it.
    """
    talks = tokenizer.chat_template is not None
    apart = not talks or takes_system_turns(tokenizer)
    if not apart and here().first:
        how = "the sources' system prompts stand at the beginning of the user's turn"
        warnings.warn(f"this chat template takes no system turn: {how}", stacklevel=2)
    groups: list[dict] = [
        {"prompt": p, "responses": [], "sources": [], "cut_off": 0}
        for p in prompts
        for _ in range(rounds)
    ]
    for number, (source, (system, temperature)) in enumerate(SOURCES.items()):
        if system and not talks:
            continue
        asked = [_asked(g["prompt"], system, talks, apart) for g in groups]
        how = {"max_new_tokens": max_new_tokens, "batch_size": 64, "progress": progress}
        how |= {"temperature": temperature, "seed": 10 * seed + number, "stream": stream}
        drawn = sample_shared(model, tokenizer, asked, **how)
        for group, s in zip(groups, drawn, strict=True):
            group["cut_off"] += not s.finished
            if s.finished and s.text.strip() and s.text not in group["responses"]:
                group["responses"].append(s.text)
                group["sources"].append(source)
    return groups


def takes_system_turns(tokenizer) -> bool:
    """Whether a system turn changes what the chat template writes.

    Some templates refuse one (Gemma's), others leave it out without a word.
    """
    user = [{"role": "user", "content": "Hello."}]
    system = {"role": "system", "content": "Be brief."}
    try:
        return render(tokenizer, [system, *user]) != render(tokenizer, user)
    except DataError:
        return False


def _asked(prompt: str | list, system: str | None, talks: bool, apart: bool) -> str | list[dict]:
    """The prompt as the model gets it, with the system prompt first where it holds none.

    It has a turn of its own if `apart`, else it stands before the user's first words.
    """
    if isinstance(prompt, str):
        if not talks:
            return prompt
        prompt = [{"role": "user", "content": prompt}]
    if not system or any(message["role"] == "system" for message in prompt):
        return prompt
    if apart or prompt[0]["role"] != "user":
        return [{"role": "system", "content": system}, *prompt]
    return [prompt[0] | {"content": f"{system}\n\n{prompt[0]['content']}"}, *prompt[1:]]


# ---------------------------------------------------------------- the judge and the pairs
def scored(groups: list[dict], judge: Scores, progress: bool = False) -> list[dict]:
    """The groups with the judge's "scores".

    DataError if it doesn't give one finite number for each text.
    """
    bar = tqdm(groups, desc="judging", disable=not progress, leave=False)
    return [g | {"scores": checked_scores(judge, g["prompt"], g["responses"])} for g in bar]


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


# ---------------------------------------------------------------- all of it
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
    judge_name: str = "",
    max_new_tokens: int = 64,
    resume: bool = True,
    overwrite: bool = False,
    stream: str | None = None,
) -> tuple[list[dict], list[dict]]:
    """From prompts to a trained model in `folder`; returns the pairs and the metrics of each step.

    `rounds` groups of responses for each prompt are drawn; `rule` is "random" or "worst". Stages
    that are there are read. `model` is trained in place. `judge_name` tells the judge from others
    (judges.named_judge); without it nobody looks whether it is the same. `resume=False` wants a
    folder without a run, `overwrite` deletes the run that is there. `stream` as `sample` has it,
    None: the one that the run began with, of a new run "row". DataError if there is nothing to
    choose, or if what is in the folder was made by something else.
    """
    refuse_links(folder, (*STAGES, NOTES, "run.lock"))
    stream = stream or stream_of(None if overwrite else noted(folder / STAGES[0]))
    begun = begun_with(model, tokenizer, prompts, rounds, config.seed, max_new_tokens)
    begun |= {"stream": stream}
    judged_by = {"judge": judge_name} if judge_name else {}
    chosen_by = {"rule": rule, "seed": config.seed}
    decided = dict(zip(STAGES, (begun, judged_by, chosen_by, {}), strict=True))
    ways = (lambda: _found(folder), lambda: _differs(folder, decided, config))
    with claimed(folder, *ways, lambda: _clear(folder), resume, overwrite):
        asked, bars = (prompts, rounds, config.seed, max_new_tokens), sys.stderr.isatty()
        make = lambda: respond(model, tokenizer, *asked, progress=bars, stream=stream)
        groups = stage(folder / "responses.jsonl", lambda: _enough(make()), begun)
        if [g["prompt"] for g in groups] != [p for p in prompts for _ in range(rounds)]:
            mend = "give the same prompts and as many groups, or name another folder"
            raise DataError(f"{folder} holds responses to other prompts: {mend}")
        judged_by["responses"] = fingerprint(groups)
        ask = lambda: here().from_first(lambda: scored(groups, judge, bars))
        judged = stage(folder / "scores.jsonl", ask, judged_by)
        chosen_by["scores"] = fingerprint(judged)
        choose = lambda: _some(binarise(judged, rule, config.seed), groups)
        pairs = stage(folder / "pairs.jsonl", choose, chosen_by)
        rows = pairs if tokenizer.chat_template is None else as_chats(pairs)
        made_by = {"pairs": fingerprint(rows)}
        return pairs, trained(folder / "dpo", model, tokenizer, rows, config, made_by=made_by)


def _found(folder: Path) -> str:
    """Which stages of an earlier run a folder holds, in words."""
    found = [name for name in STAGES if (folder / name).exists()]
    return f"{', '.join(found)} of an earlier run" if found else ""


def _differs(folder: Path, decided: dict[str, dict], config: TrainConfig) -> list[str]:
    """What is other than the stages that are there were made with, and the run of DPO."""
    there = [name for name in STAGES if (folder / name).exists()]
    out = [told for name in there for told in changed(folder / name, decided[name])]
    return list(
        dict.fromkeys(out + differences(recorded(folder / "dpo") or {}, config.resolved(), {}))
    )


def _clear(folder: Path) -> None:
    """Delete the stages that a run made, and nothing else."""
    if not (folder / NOTES).exists():
        told = f"holds {_found(folder)}, and no {NOTES} that tells whose"
        raise DataError(f"{folder} {told}: move them away, or name another folder with --out")
    clear(folder / "dpo")
    with suppress(OSError):
        (folder / "dpo").rmdir()  # unless something else is in it
    for name in (*STAGES[:3], NOTES):
        (folder / name).unlink(missing_ok=True)


def begun_with(
    model: nn.Module, tokenizer, prompts: list, rounds: int, seed: int, max_new_tokens: int
) -> dict:
    """All that decides the responses but the stream, in words."""
    reads = (sorted(tokenizer.get_vocab().items()), tokenizer.chat_template)
    return {
        "model": fingerprint(model.parameters()),
        "tokenizer": fingerprint(reads),
        "groups": rounds,
        "prompts": fingerprint(prompts),
        "seed": seed,
        "max_new_tokens": max_new_tokens,
        "sources": fingerprint(SOURCES),
    }


def _enough(groups: list[dict]) -> list[dict]:
    """The groups; DataError, before the judge is asked, if none has two responses."""
    if all(len(g["responses"]) < 2 for g in groups):
        _blame_the_length(groups)
        mend = "give more prompts, or another model"
        raise DataError(f"no prompt got two different responses that are not empty: {mend}")
    return groups


def _some(pairs: list[dict], groups: list[dict]) -> list[dict]:
    """The pairs; DataError if there is none."""
    if not pairs:
        _blame_the_length(groups)
        raise DataError("the judge found nothing to choose: give more prompts, or another judge")
    return pairs


def _blame_the_length(groups: list[dict]) -> None:
    """DataError if most responses had not ended; an older version did not count them."""
    cut = sum(g.get("cut_off", 0) for g in groups)
    drawn = cut + sum(len(g["responses"]) for g in groups)  # without copies
    if 2 * cut > drawn:
        raise DataError(cut_off(cut, drawn))
