"""05.0: the loss of SFT, one number a text."""

import torch

from .worked import Trainable


# ---------------------------------------------------------------- 05.0, the loss
def response_nll(
    logits,
    input_ids,
    response_mask,
    *,
    shift="ahead",
    score="response",
    over="sum",
    sign=1,
    end="log",
):
    """-log pi(y|x) of each text, (B,)."""
    T = input_ids.shape[1]
    now, token = {
        "ahead": (slice(0, T - 1), slice(1, T)), "none": (slice(0, T), slice(0, T)),
        "back": (slice(1, T), slice(0, T - 1)), "two": (slice(0, T - 2), slice(2, T)),
    }[shift]  # fmt: skip
    marked = {
        "response": response_mask, "all": torch.ones_like(response_mask), "not": ~response_mask,
        "no first": response_mask & torch.cat([0 * response_mask[:, :1], response_mask[:, :-1]], 1),
        "no last": response_mask & torch.cat([response_mask[:, 1:], 0 * response_mask[:, :1]], 1),
        "first": response_mask & ~torch.cat([0 * response_mask[:, :1], response_mask[:, :-1]], 1),
        "prompt": response_mask.cumsum(1) == 0, "a place on": response_mask.roll(-1, 1),
        "with prompt": response_mask.flip(1).cumsum(1).flip(1) > 0,
    }[score].bool()  # fmt: skip
    mask = marked[:, token].to(logits.dtype)
    logps = {"log": logits.log_softmax(-1), "raw": logits, "probability": logits.softmax(-1),
             "places": logits.log_softmax(1)}[end][:, now]  # fmt: skip
    nll = -sign * logps.gather(-1, input_ids[:, token, None]).squeeze(-1) * mask
    whole = nll.sum(-1)
    return {
        "sum": whole, "mean": whole / mask.sum(-1), "width": whole / mask.shape[1],
        "texts": whole.mean(), "all": whole.sum(), "tokens": whole.sum() / mask.sum(),
        "token by token": nll, "share": whole / mask.sum(), "number": whole / len(whole),
        "root": whole / mask.sum(-1).sqrt(),
    }[over]  # fmt: skip


def _as(**keywords):
    return lambda *case: response_nll(*case, **keywords)


def _mask_not_shifted(logits, input_ids, response_mask):
    """Tokens shifted, the mask not: it marks one place too far to the right."""
    logps = logits[:, :-1].log_softmax(-1).gather(-1, input_ids[:, 1:, None]).squeeze(-1)
    return -(logps * response_mask[:, :-1]).sum(-1)


def _log_of_mean(logits, input_ids, response_mask):
    """Minus the logarithm of the mean probability of the response's tokens."""
    p = logits[:, :-1].softmax(-1).gather(-1, input_ids[:, 1:, None]).squeeze(-1)
    return -((p * response_mask[:, 1:]).sum(-1) / response_mask[:, 1:].sum(-1)).log()


def _log_of_sum(logits, input_ids, response_mask):
    p = logits[:, :-1].softmax(-1).gather(-1, input_ids[:, 1:, None]).squeeze(-1)
    return -(p * response_mask[:, 1:]).sum(-1).log()


def _masked_logits(logits, input_ids, response_mask):
    """The mask on the logits, before the softmax: the other tokens then cost log V each."""
    kept = logits * response_mask[..., None]
    return _as(score="all")(kept, input_ids, response_mask)


def _masked_shifted_logits(logits, input_ids, response_mask):
    """The same with the mask shifted."""
    kept = logits[:, :-1] * response_mask[:, 1:, None]
    return _as(score="all")(torch.cat([kept, kept[:, -1:]], 1), input_ids, response_mask)


def _over_scored_places(logits, input_ids, response_mask):
    """Softmax over the places that predict a token."""
    logps = logits[:, :-1].log_softmax(1).gather(-1, input_ids[:, 1:, None]).squeeze(-1)
    return -(logps * response_mask[:, 1:]).sum(-1)


def _entropy(logits, input_ids, response_mask):
    logps = logits[:, :-1].log_softmax(-1)
    return -((logps.exp() * logps).sum(-1) * response_mask[:, 1:]).sum(-1)


def _likeliest(logits, input_ids, response_mask):
    """The likeliest token's log-probability in place of the one that comes."""
    return -(logits[:, :-1].log_softmax(-1).amax(-1) * response_mask[:, 1:]).sum(-1)


def _batches() -> list[dict]:
    """Three batches: prompts, responses and padding of different lengths."""
    rng, cases = torch.Generator().manual_seed(2), []
    shapes = (
        (8, 11, ((2, 7), (3, 8), (4, 6))), (9, 5, ((3, 9), (1, 5))),
        (7, 6, ((2, 4), (1, 7), (3, 5), (2, 6))),
    )  # fmt: skip
    for width, V, rows in shapes:
        at = torch.arange(width)
        cases.append({
            "logits": 2 * torch.randn(len(rows), width, V, generator=rng, dtype=torch.float64),
            "input_ids": torch.randint(V, (len(rows), width), generator=rng),
            "response_mask": torch.stack([(at >= a) & (at < b) for a, b in rows]),
        })  # fmt: skip
    return cases


def _tokens(case):
    """Log-probabilities of the tokens from the second on, and their mask, (B, T - 1)."""
    logits, ids, mask = case
    logps = logits[:, :-1].log_softmax(-1).gather(-1, ids[:, 1:, None]).squeeze(-1)
    return logps, mask[:, 1:]


def _of_tokens(how):
    return lambda *case: how(*_tokens(case))


def _after() -> list:
    """What becomes of the right log-probabilities of the tokens, and the sum of each text."""
    every = "every token is scored, and it is divided by {}; prompt and padding shall not count."
    no_log = "the shortfalls from probability 1 are added; asked are minus logarithms."
    told = [
        (
            "that is perplexity, e to the mean; asked is the sum of −log.",
            lambda p, m: (-(p * m).sum(1) / m.sum(1)).exp(),
        ),
        (
            "the sum is multiplied by the text's number of tokens.",
            lambda p, m: -(p * m).sum(1) * m.sum(1),
        ),
        (
            "it is divided twice by its own tokens; asked is the sum.",
            lambda p, m: -(p * m).sum(1) / m.sum(1) ** 2,
        ),
        (
            "only the hardest token of each text is in it; asked is the sum.",
            lambda p, m: -(p * m).amin(1),
        ),
        (
            "only the last token of each text is scored.",
            lambda p, m: torch.stack([-row[here][-1] for row, here in zip(p, m, strict=True)]),
        ),
        (every.format("the width of the batch"), lambda p, m: -p.sum(1) / (m.shape[1] + 1)),
        (every.format("the scored places"), lambda p, m: -p.mean(1)),
        (every.format("the response's tokens"), lambda p, m: -p.sum(1) / m.sum(1)),
        (
            "that is one minus the probability under the logarithm: what the other tokens get.",
            lambda p, m: -((1 - p.exp()).log() * m).sum(1),
        ),
        (no_log, lambda p, m: ((1 - p.exp()) * m).sum(1)),
        (no_log, lambda p, m: ((1 - p.exp()) * m).sum(1) / m.sum(1)),
        (
            "that is one minus the text's probability; asked is minus its logarithm.",
            lambda p, m: 1 - (p * m).sum(1).exp(),
        ),
        (
            "it is divided by the width of the batch; asked is the sum.",
            lambda p, m: -(p * m).sum(1) / (m.shape[1] + 1),
        ),
        (
            "each text is divided by one token less than it has; asked is the sum.",
            lambda p, m: -(p * m).sum(1) / (m.sum(1) - 1),
        ),
        ("the log-probabilities are squared.", lambda p, m: (p * p * m).sum(1)),
    ]
    guess = lambda lo, ids, mask: mask.sum(1) * lo.new_tensor(lo.shape[-1]).log()
    found = [(why, _of_tokens(how)) for why, how in told]
    return [*found, ("that is a uniform guess at each token; asked is the model's.", guess)]


KEY = Trainable(
    response_nll,
    _batches(),
    switches={
        "shift": ("none", "the logits are not shifted: position t predicts token t + 1."),
        "score": ("all", "every token is scored; prompt and padding shall not count."),
        "over": ("mean", "each text is divided by its own tokens; asked is the sum."),
        "sign": (-1, "the sign is turned: the loss is minus the log-probability."),
        "end": ("raw", "the raw logits are added up; a log-softmax makes log-probabilities of"
                " them."),
    },
    wrongs=[
        ("the shift goes the wrong way: position t predicts token t + 1, not t − 1.",
         _as(shift="back")),
        ("the shift goes the wrong way: position t predicts token t + 1, not t − 1.",
         _as(shift="back", score="a place on")),
        ("the prompt is scored, and the response is not.", _as(score="prompt")),
        ("the softmax runs over the places; it runs over the vocabulary.", _over_scored_places),
        ("it is shifted by two places.", _as(shift="two")),
        ("the tokens are shifted and the mask is not: it loses one end of the response.",
         _mask_not_shifted),
        ("the mask is turned round: prompt and padding are scored, the response is not.",
         _as(score="not")),
        ("the prompt is scored, too.", _as(score="with prompt")),
        ("the last token of the response, end of text, is not scored.", _as(score="no last")),
        ("the first token of the response is not scored.", _as(score="no first")),
        ("only the first token of the response is scored.", _as(score="first")),
        ("it is divided by the width of the batch; asked is the sum.", _as(over="width")),
        ("the mean over the texts is taken; asked is one number a text.", _as(over="texts")),
        ("the texts are added up; asked is one number a text.", _as(over="all")),
        ("that is the mean over the tokens of the batch; asked is one sum a text.",
         _as(over="tokens")),
        ("that is one number a token; asked is their sum, one number a text.",
         _as(over="token by token")),
        ("each text is divided by the tokens of the batch; asked is the sum.", _as(over="share")),
        ("each text is divided by the number of texts already; dividing comes later.",
         _as(over="number")),
        ("each text is divided by the root of its length.", _as(over="root")),
        ("probabilities are added up, their logarithm is missing.", _as(end="probability")),
        ("the softmax runs over the places; it runs over the vocabulary.", _as(end="places")),
        ("that is the log of a mean; asked is the sum of the logs.", _log_of_mean),
        ("that is the log of a sum; asked is the sum of the logs.", _log_of_sum),
        ("the mask is applied to the logits: zeros there are a uniform guess, and cost log V. Mask"
         " the log-probabilities.", _masked_logits),
        ("the mask is applied to the logits: zeros there are a uniform guess, and cost log V. Mask"
         " the log-probabilities.", _masked_shifted_logits),
        ("that is the entropy of the predictions; asked is what they give the token that comes.",
         _entropy),
        *_after(),
        ("the softmax is taken twice.", lambda lo, ids, mask: response_nll(
            lo.softmax(-1), ids, mask)),
        ("the whole vocabulary is added up; look up the token that comes.",
         lambda lo, ids, mask: -(lo[:, :-1].log_softmax(-1).sum(-1) * mask[:, 1:]).sum(-1)),
        ("the token ids are masked, and not their log-probabilities: token 0 is scored instead.",
         lambda lo, ids, mask: response_nll(lo, ids * mask, mask, score="all")),
        ("two things. First: the mask is not shifted with the tokens. Second: each text is divided"
         " by its own tokens.",
         lambda lo, ids, mask: _mask_not_shifted(lo, ids, mask) / mask.sum(-1)),
        ("that is the likeliest token; asked is the token that comes.", _likeliest),
    ],
    shows="Prompt and padding don't count, end of text does, and nothing is divided yet.",
    through=("logits",),
)  # fmt: skip
