"""Bugs that users of other trainers met in masks and tokens, each tried on ours.

The rest have tests where they belong.
"""

import copy

import torch
from tokenizers.processors import TemplateProcessing

from dpo_from_scratch import losses, world
from dpo_from_scratch.models import Scorer
from dpo_from_scratch.tokens import collate, encode, encode_rows
from dpo_from_scratch.world.tiny import review_tokenizer

PROMPT, REPLY = "film : how was the plot ?", "the plot was good ."


def tokenizer_that_adds(template: str, token: str):
    """The review tokenizer with a BOS of its own, and a template that it puts around every text."""
    tokenizer = review_tokenizer()
    tokenizer.add_special_tokens({"bos_token": "<bos>"})
    special = [(token, tokenizer.convert_tokens_to_ids(token))]
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single=template, special_tokens=special
    )
    return tokenizer


def test_a_tokenizer_that_adds_bos_adds_it_once_and_never_in_the_middle():
    tokenizer = tokenizer_that_adds("<bos> $A", "<bos>")
    (example,) = encode(tokenizer, PROMPT, REPLY)
    assert example.ids.count(tokenizer.bos_token_id) == 1
    assert example.ids[0] == tokenizer.bos_token_id
    assert tokenizer.decode(example.ids[example.prompt_length :]) == REPLY + " <eos>"
    (empty,) = encode(tokenizer, "", REPLY)
    assert empty.ids[: empty.prompt_length] == (tokenizer.bos_token_id,)


def test_a_tokenizer_that_ends_every_text_does_not_end_the_prompt():
    tokenizer = tokenizer_that_adds("$A <eos>", "<eos>")
    (example,) = encode(tokenizer, PROMPT, REPLY)
    assert example.ids.count(tokenizer.eos_token_id) == 1
    assert example.ids[-1] == tokenizer.eos_token_id


def test_both_halves_of_a_batch_are_masked_and_rows_are_contiguous(tiny):
    pairs, _ = encode_rows(tiny[1], world.make_pairs(12, seed=8))
    chosen, rejected = zip(*pairs, strict=True)
    for side in ("left", "right"):
        batch = collate([*chosen, *rejected], 0, side)
        assert batch["response_mask"].sum(-1).tolist() == [
            e.response_length for e in (*chosen, *rejected)
        ]
        for ids, mask, example in zip(
            batch["input_ids"], batch["attention_mask"], (*chosen, *rejected), strict=True
        ):
            assert (
                tuple(ids[mask.bool()].tolist()) == example.ids
            )  # no padding between prompt and response


def test_a_scored_prompt_cancels_in_dpo_and_not_in_the_loss_of_one_response(tiny):
    rows, _ = encode_rows(tiny[1], world.make_pairs(8, seed=9))
    flat = [e for side in zip(*rows, strict=True) for e in side]

    def gradient(whole: bool, loss: str) -> torch.Tensor:
        model = copy.deepcopy(tiny[0]).double()
        batch = collate(flat, 0)
        if whole:
            batch["response_mask"] = (
                batch["attention_mask"].bool().index_fill(1, torch.tensor([0]), False)
            )
        logps = Scorer(model)(**batch)
        chosen, rejected = logps.chunk(2)
        zero = torch.zeros_like(chosen)
        value = (
            losses.dpo(chosen, rejected, zero, zero, beta=0.1)
            if loss == "dpo"
            else losses.nll(chosen)
        )
        value.sum().backward()
        return torch.cat([p.grad.flatten() for p in model.parameters()])

    torch.testing.assert_close(gradient(True, "dpo"), gradient(False, "dpo"), rtol=1e-6, atol=1e-9)
    nll, with_prompt = gradient(False, "nll"), gradient(True, "nll")
    assert (nll - with_prompt).norm() > 0.01 * nll.norm()
