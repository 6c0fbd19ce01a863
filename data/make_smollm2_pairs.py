"""Preference pairs from a model's own samples, judged by VADER: the kinder of two reviews is preferred.

python data/make_smollm2_pairs.py pairs.jsonl        # needs vaderSentiment; about 6 minutes on one CPU core
"""

import sys

from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

from dpo_from_scratch.data import write_rows
from dpo_from_scratch.models import load_model
from dpo_from_scratch.sampling import sample

SUBJECTS = {
    "film": ("ending", "lead actor", "music", "plot", "dialogue", "camera work", "humor", "length"),
    "restaurant": ("soup", "service", "desserts", "prices", "decor", "menu", "noise", "wine list"),
    "hotel": ("beds", "breakfast", "location", "staff", "pool", "view", "lobby", "bathrooms"),
    "book": ("first chapter", "main character", "style", "cover", "illustrations", "message", "twist", "pace"),
}
# of each subject, six aspects to train on and the last two held out
PROMPTS = [f"Write a one-sentence review of the {s}'s {a}." for s, aspects in SUBJECTS.items() for a in aspects[:6]]
HELD_OUT = [f"Write a one-sentence review of the {s}'s {a}." for s, aspects in SUBJECTS.items() for a in aspects[6:]]

judge = SentimentIntensityAnalyzer()


def score(text: str) -> float:
    """VADER's compound sentiment of a text, from -1 to 1."""
    return judge.polarity_scores(text)["compound"]


def chats(prompts: list[str], n: int) -> list[list[dict]]:
    """Each prompt n times, as a chat of one message."""
    return [[{"role": "user", "content": p}] for p in prompts for _ in range(n)]


def make_pairs(samples: list, gap: float) -> list[dict]:
    """For each prompt, its best finished text over its worst, its second best over its second worst, and so on to `gap`.

    Samples cut off by max_new_tokens are dropped: as a response they would teach the model to stop in mid-sentence.
    """
    texts: dict[str, list[str]] = {}
    for s in samples:
        if s.finished and s.text.strip():
            texts.setdefault(s.prompt[0]["content"], []).append(s.text)
    rows = []
    for prompt, answers in texts.items():
        answers = sorted(set(answers), key=score)
        for low, high in zip(answers[: len(answers) // 2], reversed(answers), strict=False):
            if score(high) - score(low) >= gap:
                chosen, rejected = ([{"role": "assistant", "content": text}] for text in (high, low))
                rows.append({"prompt": [{"role": "user", "content": prompt}], "chosen": chosen, "rejected": rejected})
    return rows


if __name__ == "__main__":
    model, tokenizer = load_model("smollm2")
    samples = sample(model, tokenizer, chats(PROMPTS, 32), max_new_tokens=48, batch_size=64, seed=1, progress=True)
    rows = make_pairs(samples, gap=0.2)
    write_rows(sys.argv[1], rows)
    print(f"{len(rows)} pairs of {sum(s.finished for s in samples)} finished samples of {len(samples)}: {sys.argv[1]}")
