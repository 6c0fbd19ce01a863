"""The playground's page "Read a token": a few pairs, token by token, before and after training.

Half a minute on one core. The policy is the healthy script of chapter 22, trained on the pairs and
with the seed of `which_bug`. The pairs are the first of the test file that are short and unequal.
"""

from functools import cache

import numpy as np
import torch
from torch import Tensor

from ..data import data_path, read_rows
from ..doctor import hooks
from ..lab.studies import Study
from ..logprobs import token_logps
from ..models import frozen_copy, load_model
from .gallery import PLAIN, STEPS, rows_of
from .which_bug import SEED

PAIRS, LONGEST, APART, LIKELIEST = 3, 14, 3, 4

study = Study(__file__, "A few pairs, token by token")


def pairs() -> list[dict]:
    """Test pairs of at most 14 words a response, whose lengths differ by 3 or more."""
    rows, _ = read_rows(data_path("reviews_pairs_test.jsonl"))
    words = lambda row: [len(row[side].split()) for side in ("chosen", "rejected")]
    short = [
        r for r in rows if max(words(r)) <= LONGEST and abs(words(r)[0] - words(r)[1]) >= APART
    ]
    return short[:PAIRS]


@cache
def policy_and_reference() -> tuple:
    """The script's policy after its training, the tiny model, its tokenizer, and the script."""
    names, (model, tokenizer) = hooks.load_script(PLAIN), load_model("tiny")
    reference = frozen_copy(model)
    policy, _, _ = names["train"](model, tokenizer, rows_of(SEED), STEPS, SEED)
    return policy.eval(), reference, tokenizer, names


@torch.no_grad()
def read(model, batch: dict) -> dict[str, Tensor]:
    """Of a padded pair (2, T): log-probabilities given what stands before, (2, T - 1); those of
    each token at its own place, as without the shift, (2, T); and the likeliest next tokens.
    """
    ids = batch["input_ids"]
    logits = model(ids, attention_mask=batch["attention_mask"]).logits
    logps = logits.log_softmax(-1)
    best = logps[:, :-1].topk(LIKELIEST)
    itself = logps.gather(-1, ids.unsqueeze(-1)).squeeze(-1)
    return {
        "logps": token_logps(logits, ids),
        "itself": itself,
        "likeliest": best.indices,
        "their": best.values,
    }


@study.points([{"pair": number, "seed": SEED} for number in range(PAIRS)])
def token_by_token(pair: int, seed: int) -> dict:
    """Tokens of both responses, padded to one length, and what two models make of each."""
    policy, reference, tokenizer, names = policy_and_reference()
    row = pairs()[pair]
    batch = names["collate"]([row], tokenizer)
    told = {"prompt": row["prompt"], "prompt_tokens": len(tokenizer(row["prompt"]).input_ids)}
    told |= {"tokens": [tokenizer.convert_ids_to_tokens(ids) for ids in batch["input_ids"]]}
    told |= {"real": batch["attention_mask"].sum(-1).tolist()}
    for name, model in (("reference", reference), ("policy", policy)):
        seen = read(model, batch)
        words = [[tokenizer.convert_ids_to_tokens(at) for at in side] for side in seen["likeliest"]]
        told[name] = {"logps": rounded(seen["logps"]), "itself": rounded(seen["itself"])}
        told[name] |= {"likeliest": words, "their": rounded(seen["their"])}
    return told


def rounded(values: Tensor) -> list:
    """To five digits behind the point."""
    return np.round(values.double().numpy(), 5).tolist()


if __name__ == "__main__":
    study.main()
