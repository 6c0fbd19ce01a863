"""Zephyr's recipe on a model of your own (arXiv 2310.16944): several responses to each prompt, a judge, pairs, DPO. One command.

python data/ai_feedback.py --out runs/zephyr              # SmolLM2-135M, judged by a rubric; about 10 minutes on one CPU core
python data/ai_feedback.py --out runs/mine --model FOLDER --prompts prompts.jsonl --judge my_judge.py:judge

Each stage writes a file: responses.jsonl, scores.jsonl, pairs.jsonl, then the run of DPO. Run the command again, and it goes on
with the stage that is missing. judge(prompt, texts) gives one number for each text, larger is better.
"""

import argparse
import json
import math
import random
import re
import runpy
from collections.abc import Callable
from functools import cache
from itertools import permutations
from pathlib import Path

from dpo_from_scratch.data import DataError, read_rows
from dpo_from_scratch.models import ModelError, load_model
from dpo_from_scratch.runs import write_text
from dpo_from_scratch.sampling import sample
from dpo_from_scratch.training import PRESETS, TrainConfig, train

SUBJECTS = {
    "film": ("ending", "lead actor", "music", "plot", "dialogue", "camera work", "humor", "length"),
    "restaurant": ("soup", "service", "desserts", "prices", "decor", "menu", "noise", "wine list"),
    "hotel": ("beds", "breakfast", "location", "staff", "pool", "view", "lobby", "bathrooms"),
    "book": ("first chapter", "main character", "style", "cover", "illustrations", "message", "twist", "pace"),
}
# of each subject, six aspects to train on and the last two held out
PROMPTS = [f"Write a one-sentence review of the {s}'s {a}." for s, aspects in SUBJECTS.items() for a in aspects[:6]]
HELD_OUT = [f"Write a one-sentence review of the {s}'s {a}." for s, aspects in SUBJECTS.items() for a in aspects[6:]]

SOURCES = {  # who responds: a system prompt (None: the model's own) and a temperature
    "cool": (None, 0.7),
    "plain": (None, 1.0),
    "eager author": ("You are a friendly critic who is easy to please.", 1.0),
    "sour author": ("You are a grumpy critic who is hard to please.", 1.0),
}
ROUNDS, STEPS, RATE = 4, 12, 5e-4  # a short run at a high learning rate: what a laptop does in a quarter of an hour
Judge = Callable[[str, list[str]], list[float]]


def respond(model, tokenizer, prompts: list[str], rounds: int = 1, seed: int = 0, max_new_tokens: int = 64) -> list[dict]:
    """One response of every source to every prompt, `rounds` times: rows {"prompt", "responses", "sources"}.

    A text that was cut off is dropped: as a response it would teach the model to stop in mid-sentence. So are copies.
    Without a chat template there are no system prompts, and only the sources that differ in temperature respond.
    """
    talks = tokenizer.chat_template is not None
    groups: list[dict] = [{"prompt": p, "responses": [], "sources": []} for p in prompts for _ in range(rounds)]
    for number, (source, (system, temperature)) in enumerate(SOURCES.items()):
        if system and not talks:
            continue
        before = [{"role": "system", "content": system}] if system else []
        chats = [[*before, {"role": "user", "content": g["prompt"]}] if talks else g["prompt"] for g in groups]
        drawn = sample(model, tokenizer, chats, temperature=temperature, max_new_tokens=max_new_tokens, batch_size=64,
                       seed=10 * seed + number)  # fmt: skip
        for group, s in zip(groups, drawn, strict=True):
            if s.finished and s.text.strip() and s.text not in group["responses"]:
                group["responses"].append(s.text)
                group["sources"].append(source)
    return groups


@cache
def vader():
    """The analyser of vaderSentiment (Hutto and Gilbert, ICWSM 2014)."""
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    return SentimentIntensityAnalyzer()


def sentiment(text: str) -> float:
    """VADER's compound sentiment of a text, from -1 to 1."""
    return vader().polarity_scores(text)["compound"]


def rubric(prompt: str, texts: list[str]) -> list[float]:
    """A judge that needs no network: kind words, half a point for naming what was asked for, less a fault for each word past 20."""
    asked = prompt.rstrip(".").split("'s ")[-1].lower().split()[-1]
    named = re.compile(rf"\b{re.escape(asked)}\b", re.IGNORECASE)  # a whole word: "view" doesn't stand in "review"
    return [sentiment(t) + 0.5 * bool(named.search(t)) - 0.05 * max(len(t.split()) - 20, 0) for t in texts]


def from_comparisons(compare: Callable[[str, str, str], float]) -> Judge:
    """A judge made of comparisons, such as a language model's: each two texts in both orders, so that position cancels.

    compare(prompt, first, second) gives 1 where the first is better, 0 where the second is, .5 for a tie; the score of a text
    is the share that it wins.
    """

    def judge(prompt: str, texts: list[str]) -> list[float]:
        wins = [0.0] * len(texts)
        for i, j in permutations(range(len(texts)), 2):
            first = compare(prompt, texts[i], texts[j])
            wins[i] += first
            wins[j] += 1 - first
        return [w / max(2 * (len(texts) - 1), 1) for w in wins]

    return judge


def judge_from(name: str) -> Judge:
    """The function of "FILE.py:FUNCTION". DataError if there is none."""
    file, _, function = name.rpartition(":")
    try:
        return runpy.run_path(file)[function]
    except (OSError, KeyError, ImportError) as error:
        raise DataError(f"{name!r} is no judge: give FILE.py:FUNCTION ({error})") from None


def scored(groups: list[dict], judge: Judge) -> list[dict]:
    """The groups with the judge's "scores". DataError if it doesn't give one finite number for each text."""
    out = []
    for g in groups:
        scores = [float(s) for s in judge(g["prompt"], g["responses"])]
        if len(scores) != len(g["responses"]) or not all(map(math.isfinite, scores)):
            raise DataError(f"the judge gave {scores} for {len(g['responses'])} texts: it must give one finite number for each")
        out.append(g | {"scores": scores})
    return out


def binarise(groups: list[dict], rule: str = "random", seed: int = 0) -> list[dict]:
    """Pairs: the best response of each group over a random other one (arXiv 2310.16944), or with "worst" over the worst.

    Groups in which all scores are equal, or with fewer than two responses, leave no pair.
    """
    rng, rows = random.Random(seed), []
    for g in groups:
        ranked = sorted(zip(g["scores"], g["responses"], strict=True), reverse=True)
        others = [pair for pair in ranked[1:] if pair[0] < ranked[0][0]]
        if others:
            rejected = others[-1] if rule == "worst" else rng.choice(others)
            rows.append({"prompt": g["prompt"], "chosen": ranked[0][1], "rejected": rejected[1]})
    return rows


def as_chats(rows: list[dict]) -> list[dict]:
    """The same pairs as messages, so that the chat template is used."""
    roles = {"prompt": "user", "chosen": "assistant", "rejected": "assistant"}
    return [{key: [{"role": role, "content": row[key]}] for key, role in roles.items()} for row in rows]


def stage(path: Path, make: Callable[[], list[dict]]) -> list[dict]:
    """The rows of a file; where it is missing, they are made and written first."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, "".join(json.dumps(row) + "\n" for row in make()))
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def settings(steps: int, seed: int) -> TrainConfig:
    return TrainConfig(**PRESETS["smollm2"] | {"steps": steps, "learning_rate": RATE, "seed": seed, "save_every": 4})


def pipeline(folder: Path, model, tokenizer, prompts: list[str], judge: Judge, rule: str, rounds: int, config: TrainConfig):
    """From prompts to a trained model in `folder`; stages that are done are read. Returns (pairs, metrics); `model` is trained."""
    groups = stage(folder / "responses.jsonl", lambda: respond(model, tokenizer, prompts, rounds, config.seed))
    judged = stage(folder / "scores.jsonl", lambda: scored(groups, judge))
    pairs = stage(folder / "pairs.jsonl", lambda: binarise(judged, rule, config.seed))
    if not pairs:
        raise DataError("the judge found nothing to choose: give more prompts, or another judge")
    chats = tokenizer.chat_template is not None
    if (folder / "dpo" / "model").exists():
        model.load_state_dict(load_model(str(folder / "dpo" / "model"))[0].state_dict())
        return pairs, stage(folder / "dpo" / "metrics.jsonl", list)
    begun = (folder / "dpo" / "config.json").exists()
    return pairs, train(model, tokenizer, as_chats(pairs) if chats else pairs, config, folder / "dpo", resume=begun)


def main() -> None:
    parser = argparse.ArgumentParser(description="several responses to each prompt, a judge, pairs, DPO (Zephyr's recipe)")
    parser.add_argument("--out", type=Path, required=True, help="the run's folder; run again to go on")
    parser.add_argument("--model", default="smollm2", help="smollm2, gpt2, or a folder")
    parser.add_argument("--prompts", help='a file of {"prompt": ...} rows; without it, 24 prompts that ask for short reviews')
    parser.add_argument("--judge", help="FILE.py:FUNCTION of (prompt, texts), one number a text; without it, the rubric")
    parser.add_argument("--rule", choices=("random", "worst"), default="random", help="what the best response is paired with")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="groups of four responses for each prompt")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    try:
        prompts = [row["prompt"] for row in read_rows(args.prompts, "prompts")[0]] if args.prompts else PROMPTS
        if not all(isinstance(p, str) for p in prompts):
            raise DataError(f"{args.prompts}: prompts are strings here, the chat template is put round them")
        judge = judge_from(args.judge) if args.judge else rubric
        config = settings(args.steps, args.seed)
        pairs, history = pipeline(args.out, *load_model(args.model), prompts, judge, args.rule, args.rounds, config)
    except (DataError, ModelError, OSError, ImportError) as error:
        raise SystemExit(f"error: {error}") from None
    except KeyboardInterrupt:
        raise SystemExit("interrupted: run the same command again to go on") from None
    print(f"{len(pairs)} pairs; accuracy of the last step {history[-1]['accuracy']:.2f}; the model: {args.out / 'dpo' / 'model'}")


if __name__ == "__main__":
    main()
