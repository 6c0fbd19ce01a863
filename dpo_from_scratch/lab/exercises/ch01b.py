"""Exercises 3 and 4 of chapter 01: what bfloat16 costs, and a seam that merges."""

from collections.abc import Callable, Mapping
from functools import cache

import numpy as np
import torch

from ... import world
from ...models import gpt2_tokenizer, load_model, pad_id
from ...tokens import collate, encode
from .answers import Numbers
from .lettered import Lettered, letter
from .verdicts import Verdict, misformed, right, wrong

PROMPT = "film : how was the plot ?"


# ---------------------------------------------------------------- 01.3: half precision
WAYS = ("cast first", "bfloat16", "cast first, 100 off", "bfloat16, 100 off")
CAUSES = {
    "a": "casting before the log-softmax saves hardly anything: compare your first two numbers.",
    "b": "both ways cast before they add up, and both are off.",
    "c": None,
}


def cast_first(half: torch.Tensor) -> torch.Tensor:
    """float32, then log-softmax."""
    return half.float().log_softmax(-1)


def in_half(half: torch.Tensor) -> torch.Tensor:
    """log-softmax, then float32."""
    return half.log_softmax(-1).float()


@cache
def long_texts() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Logits, ids and response mask of the texts of 30 tokens or more."""
    model, tokenizer = load_model("tiny")
    examples = encode(tokenizer, PROMPT, *world.REVIEWS.sample(PROMPT, 2000, seed=2))
    batch = collate([e for e in examples if e.response_length >= 30], pad_id(tokenizer))
    with torch.no_grad():
        logits = model(batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    return logits, batch["input_ids"], batch["response_mask"]


def total(logps: torch.Tensor, shift: int = 1, prompt: bool = False) -> np.ndarray:
    """Sums over the response's tokens; over the prompt's too, or without the shift."""
    _, ids, mask = long_texts()
    keep = torch.ones_like(mask) if prompt else mask
    rows = logps[:, : logps.shape[1] - shift]
    picked = rows.gather(-1, ids[:, shift:, None]).squeeze(-1)
    return (picked * keep[:, shift:]).sum(-1).double().numpy()


@cache
def errors(off: int, way: Callable, truth=None, kind=torch.bfloat16, **how) -> np.ndarray:
    """What each text's score is off by, with `off` taken from all logits."""
    moved = long_texts()[0] - off
    half = moved.to(kind)
    exact = truth(half) if truth else moved.double().log_softmax(-1)
    return total(way(half), **how) - total(exact, **how)


def four(fold: Callable[[np.ndarray], float], second: int = 100, **how) -> list[float]:
    """The four numbers, with something else for the mean of absolute values, say."""
    return [fold(errors(off, way, **how)) for off in (0, second) for way in (cast_first, in_half)]


def size(error: np.ndarray) -> float:
    """Mean absolute error."""
    return float(np.abs(error).mean())


def halves() -> Mapping[str, float]:
    """The answer."""
    return dict(zip(WAYS, four(size), strict=True))


SHORTER = {  # what the notebook prints for other texts, with a digit more
    "texts of up to 9 tokens are measured; asked are 30 or more.": (0.021, 0.022, 0.161, 0.160),
    "texts of 10 to 19 tokens are measured; asked are 30 or more.": (0.029, 0.029, 0.266, 0.265),
    "texts of all lengths are measured; asked are 30 tokens or more.": (0.035, 0.036, 0.32, 0.319),
    "either shorter texts are among them, or that is a median: asked is the mean for 30 or more.": (
        0.039, 0.040, 0.360, 0.359,
    ),
}  # fmt: skip


@cache
def slips() -> tuple:
    """Mistakes in all four, then in two of a kind."""
    tokens = long_texts()[2].sum(-1).double().numpy()
    rounded = lambda half: half.double().log_softmax(-1)
    late = lambda half: half.log_softmax(-1)
    a, b, c, d = four(size)
    whole = [
        (four(lambda e: e.mean()), "errors of both signs cancel: take absolute values first."),
        (
            four(lambda e: float(np.sqrt((e * e).mean()))),
            "that is the root mean square error, or nearly: average absolute values.",
        ),
        (four(lambda e: (e * e).mean()), "errors are squared; absolute values are asked."),
        (four(lambda e: np.abs(e).max()), "that is the largest error; the mean is asked."),
        (four(lambda e: np.abs(e).sum()), "errors are added up over the texts; asked is the mean."),
        (four(lambda e: abs(e.mean())), "the absolute value comes before the mean, not after."),
        (
            four(lambda e: (np.abs(e) / tokens).mean()),
            "it is divided by the length: sum, don't mean.",
        ),
        (four(size, prompt=True), "the prompt is scored too."),
        (four(size, shift=0), "the shift is missing: position t predicts token t + 1."),
        ([a, b, a, b], "taking 100 off changed nothing: it has to come before the rounding."),
        ([c, d, a, b], "with and without the 100 are exchanged."),
        ([0.0] * 4, "nothing was rounded, or the truth is of rounded logits, too."),
        (four(size, second=10), "that is 10 taken off, not 100."),
        (four(size, second=1000), "that is 1000 taken off, not 100."),
        (four(size, kind=torch.float16), "that is float16, with eleven significant bits."),
        *((list(values), why) for why, values in SHORTER.items()),
    ]
    near = [size(errors(off, cast_first, rounded)) for off in (0, 100)]
    named = [(WAYS, value, why) for value, why in whole]
    why = "the truth is of the rounded logits; take it of the logits before any rounding."
    named += [(WAYS[::2], near, why)]
    summed = [size(errors(off, late)) for off in (0, 100)]
    return *named, (WAYS[1::2], summed, "the sum over tokens is done in bfloat16: cast first.")


def of_all_lengths(found: Mapping[str, float], answer: Mapping[str, float]) -> str:
    """Errors that are all too small by about a quarter, or all zero, or negative."""
    ratios = [found[name] / answer[name] for name in answer]
    if all(0.6 < ratio < 0.87 for ratio in ratios):
        return "are those errors of shorter texts, too? Asked are texts of 30 tokens or more."
    if max(map(abs, found.values())) < 0.002:
        return "nothing was rounded: compare the rounded logits with those before the rounding."
    if all(ratio < -0.5 for ratio in ratios):
        return "an absolute value has no sign."
    return ""


HALF = Numbers(halves, lambda answer: slips(), rtol=0.06, atol=0.005, tell=of_all_lengths)


HALF_PRECISION = Lettered(
    HALF,
    4,
    CAUSES,
    'four numbers and a letter, (0.1, 0.1, 0.1, 0.1, "a")',
    "What was rounded stays so; far from zero more is lost.",
)


# ---------------------------------------------------------------- 01.4: a seam that merges
ASKED = [{"role": "user", "content": "How was the plot?"}]
KEEPS = {
    "a": None,
    "b": "then two responses could change the prompt's ids; look at `prompt_length` and the ids.",
    "c": "decode the response's ids: its line breaks are there.",
    "d": "try it: it raises nothing.",
}


@cache
def chat_tokenizer():
    """GPT-2's tokenizer with the chapter's ChatML template."""
    chat = gpt2_tokenizer()
    chat.add_tokens(["<|im_start|>", "<|im_end|>"], special_tokens=True)
    turn = "<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n"
    begin = "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    chat.chat_template = "{% for m in messages %}" + turn + "{% endfor %}" + begin
    return chat


def merges(content: str) -> bool:
    """Whether the whole text and the two parts give different ids."""
    chat, answer = chat_tokenizer(), {"role": "assistant", "content": content}
    (apart,) = encode(chat, ASKED, [answer])
    whole = chat(chat.apply_chat_template([*ASKED, answer], tokenize=False))["input_ids"]
    return list(apart.ids) != whole[: len(apart.ids)]


def content_of(answer) -> str | None:
    """The text of a response: a string, a message, or a list with one."""
    if isinstance(answer, list | tuple) and len(answer) == 1:
        answer = answer[0]
    if isinstance(answer, Mapping):
        answer = answer.get("content")
    return answer if isinstance(answer, str) else None


def seam(attempt) -> Verdict:
    """A response that merges with the prompt's end, and what `encode` does with it."""
    form = '(a response, "a" to "d"), both of them texts'
    if not isinstance(attempt, tuple | list) or len(attempt) != 2:
        return misformed(f"write {form}.")
    text, why = content_of(attempt[0]), letter(attempt[1])
    if text is None or why not in KEEPS:
        return misformed(f"write {form}.")
    if not merges(text):
        return wrong("both ways give the same ids for this response: " + unmerged(text))
    if KEEPS[why]:
        return wrong(KEEPS[why])
    return right("What is scored goes on from the prompt's own ids, as the policy would.")


def unmerged(text: str) -> str:
    """Why this response's beginning stays apart."""
    if "<|im" in text:
        return "the template's marks never merge."
    if text.startswith("\\n"):
        return "it begins with a backslash and an n, not with a line break."
    if text.startswith("\n"):
        return "one line break before a word stays apart from the prompt's own."
    if text[:1].isspace():
        return "this kind of space doesn't join the line break that ends the prompt."
    if text != text.strip():
        return "the end of the response is not at the seam."
    return "its first word doesn't join the line break that ends the prompt."
