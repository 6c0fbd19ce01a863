"""Chapter 05's exercises: the loss of SFT, perplexity, mixed batches, the prompt in the loss."""

import math
from functools import cache

import numpy as np

from .ch05_loss import KEY
from .ch05_mixed import MIXED
from .ch05_prompt import PROMPT
from .worked import worked


# ---------------------------------------------------------------- 05.1, perplexity
@cache
def _grammar() -> tuple[float, float, float]:
    """Entropy and mean length of the grammar, and the harmonic mean of its lengths, roughly."""
    from ... import world

    grammar = world.REVIEWS.policy(world.prompts()[0])
    drawn = world.REVIEWS.sample(world.prompts()[0], 2000, seed=9)
    harmonic = 1 / np.mean([1 / (len(text.split()) + 1) for text in drawn])
    return grammar.entropy, grammar.mean_length, float(harmonic)


def perplexity(*, grammar="right", more="per cent", reply="length", gap=0.1):
    """The grammar's perplexity, and what a tenth of a nat a token does."""
    H, length, harmonic = _grammar()
    floor = H / length
    return {
        "perplexity": {
            "right": math.exp(floor), "nats": floor, "base 2": 2**floor, "turned": math.exp(-floor),
            "base 10": 10**floor, "harmonic": math.exp(H / harmonic), "bits": floor / math.log(2),
            "with gap": math.exp(floor + gap), "no eos": math.exp(H / (length - 1)),
            "words": 135.0, "entropy": H, "e to bits": math.exp(floor / math.log(2)),
            "whole reply": math.exp(H), "length": length, "upside down": math.exp(length / H),
            "floor over": length / H, "gap alone": math.exp(gap), "less": math.exp(floor) - 1,
            "log": math.log(floor),
        }[grammar],
        "per_cent_more": {
            "per cent": 100 * math.expm1(gap), "factor": math.exp(gap), "share": math.expm1(gap),
            "of the old": 100 * math.exp(gap), "apart": math.exp(floor) * math.expm1(gap),
            "linear": 100 * gap, "fall": 100 * -math.expm1(-gap), "loss": 100 * gap / floor,
            "base 2": 100 * (2**gap - 1), "new": math.exp(floor + gap), "apart %":
            100 * math.exp(floor) * math.expm1(gap), "base 10": 100 * (10**gap - 1),
            "over": 100 * gap / math.exp(floor), "reply": 100 * math.expm1(gap * length),
            "nats": gap, "of the new": 100 * gap / (floor + gap),
        }[more],
        "nats_a_reply": {
            "length": gap * length, "token": gap, "factor": math.exp(gap * length),
            "entropy": gap * H, "harmonic": gap * harmonic, "twenty": 2.0, "whole": H,
            "over": gap / length, "likelier": math.exp(-gap * length), "no eos": gap * (length - 1),
            "total": H + gap * length, "perplexity": math.expm1(gap) * length,
            "factors": math.exp(gap) * length, "tokens": length, "per word":
            gap * math.exp(floor) * length, "apart": math.exp(floor) * math.expm1(gap) * length,
            "squared": gap**2 * length, "root": gap * math.sqrt(length), "share": gap * length / H,
        }[reply],
    }  # fmt: skip


PERPLEXITY = worked(
    perplexity,
    [
        ("those are the nats a token; perplexity is e to them.", {"grammar": "nats"}),
        ("the base is 2; nats go with e.", {"grammar": "base 2"}),
        ("the base is 10; nats go with e.", {"grammar": "base 10"}),
        ("that is one over the perplexity, the mean probability of a token.",
         {"grammar": "turned"}),
        ("that is for a gap of 0.01 nats, the question at the end; asked is for a tenth.",
         {"gap": 0.01}),
        ("e is raised to the nats of a whole reply; perplexity is by the token.",
         {"grammar": "whole reply"}),
        ("that is the mean length; asked is the perplexity.", {"grammar": "length"}),
        ("length is divided by entropy, turned over: nats a token are entropy over length.",
         {"grammar": "upside down"}),
        ("length is divided by entropy, turned over, and `exp` is missing.",
         {"grammar": "floor over"}),
        ("that is e to the gap alone; asked is the grammar's own perplexity.",
         {"grammar": "gap alone"}),
        ("one is taken off the perplexity.", {"grammar": "less"}),
        ("a logarithm stands where `exp` belongs.", {"grammar": "log"}),
        ("the nats are divided by the perplexity; e to them is a factor.", {"more": "over"}),
        ("that is for a whole reply's probability; perplexity is by the token.",
         {"more": "reply"}),
        ("those are the nats of the gap; asked is by how many per cent e to it is more.",
         {"more": "nats"}),
        ("that is the gap's part of the model's loss; asked is the perplexity.",
         {"more": "of the new"}),
        ("a factor of perplexity is multiplied by the length; nats are asked, and they add.",
         {"reply": "factors"}),
        ("that is the mean length itself; each token loses a gap.", {"reply": "tokens"}),
        ("the perplexity is multiplied in; nats add up by themselves.", {"reply": "per word"}),
        ("the difference of the perplexities is multiplied by the length; asked are nats.",
         {"reply": "apart"}),
        ("the gap goes in twice.", {"reply": "squared"}),
        ("the gap is multiplied by the root of the length; it comes with each token.",
         {"reply": "root"}),
        ("that is a share of the reply's entropy; asked are nats.", {"reply": "share"}),
        ("those are bits a token; perplexity is a power.", {"grammar": "bits"}),
        ("e is raised to bits; bits go with 2, nats with e.", {"grammar": "e to bits"}),
        ("that is the entropy of a reply; perplexity is asked by the token.",
         {"grammar": "entropy"}),
        ("the entropy is divided by the harmonic mean of the lengths; asked is by the usual one.",
         {"grammar": "harmonic"}),
        ("that is the model's perplexity, above the floor; asked is the grammar's.",
         {"grammar": "with gap"}),
        ("the end of text is a token as well: the mean length counts it.", {"grammar": "no eos"}),
        ("that is a uniform guess among all tokens.", {"grammar": "words"}),
        ("that is a factor; asked is by how many per cent it is more.", {"more": "factor"}),
        ("that is a share; asked are per cent.", {"more": "share"}),
        ("that is the new in per cent of the old; asked is how many per cent come on top.",
         {"more": "of the old"}),
        ("that is the difference of the two perplexities; asked is in per cent of the first.",
         {"more": "apart"}),
        ("that is the difference of the two perplexities, times a hundred; divide it by the first.",
         {"more": "apart %"}),
        ("that is the nats in per cent: e to a tenth is a little more than one and a tenth.",
         {"more": "linear"}),
        ("that is how far the grammar's is below the model's, the wrong base of the per cent.",
         {"more": "fall"}),
        ("that is by how many per cent the loss grows; asked is the perplexity.",
         {"more": "loss"}),
        ("the base is 2; nats go with e.", {"more": "base 2"}),
        ("the base is 10; nats go with e.", {"more": "base 10"}),
        ("that is the new perplexity itself; asked is how many per cent it is more.",
         {"more": "new"}),
        ("those are the nats a token; asked is for a whole reply.", {"reply": "token"}),
        ("that is a factor of probability; asked are nats.", {"reply": "factor"}),
        ("that is a factor of probability; asked are nats.", {"reply": "likelier"}),
        ("the gap is multiplied by the entropy of a reply; it counts once for each token.",
         {"reply": "entropy"}),
        ("that is for the harmonic mean of the lengths; asked is the usual one.",
         {"reply": "harmonic"}),
        ("that is for 20 tokens; the mean length is a little more.", {"reply": "twenty"}),
        ("that is the entropy of a reply, the floor; asked is what comes on top.",
         {"reply": "whole"}),
        ("that is the floor and what comes on top of it; asked is the latter.",
         {"reply": "total"}),
        ("the gap is divided by the length; it comes once for each token.", {"reply": "over"}),
        ("the end of text is a token as well: the mean length counts it.", {"reply": "no eos"}),
        ("the growth of the perplexity is multiplied by the length; nats are asked, and they add.",
         {"reply": "perplexity"}),
    ],
    shows="A tenth of a nat a token looks small in perplexity, and is two nats a reply: rather look"
    " at nats, which add up.",
    rtol=0.004,
)  # fmt: skip


EXERCISES = {"05.0": KEY, "05.1": PERPLEXITY, "05.2": MIXED, "05.3": PROMPT}
