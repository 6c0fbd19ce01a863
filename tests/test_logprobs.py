"""Log-probabilities: by hand, and the same however a row is batched, padded or cached."""

import math

import pytest
import torch
from conftest import SHAPES

from dpo_from_scratch.logprobs import sequence_logps, token_logps
from dpo_from_scratch.models import Scorer
from dpo_from_scratch.scoring import score_examples
from dpo_from_scratch.tokens import Example, collate


def test_by_hand_on_two_tokens():
    logits = torch.log(torch.tensor([[[0.5, 0.25, 0.25], [0.1, 0.2, 0.7], [1.0, 1.0, 1.0]]]))
    labels = torch.tensor([[0, 1, 2]])
    expected = torch.log(torch.tensor([[0.25, 0.7]]))  # position t predicts token t + 1
    torch.testing.assert_close(token_logps(logits, labels), expected)
    only_last = torch.tensor([[False, False, True]])
    torch.testing.assert_close(
        sequence_logps(logits, labels, only_last), torch.tensor([math.log(0.7)])
    )
    both = torch.tensor([[False, True, True]])
    torch.testing.assert_close(
        sequence_logps(logits, labels, both), torch.tensor([math.log(0.25) + math.log(0.7)])
    )


def test_equals_cross_entropy():
    torch.manual_seed(0)
    logits, labels = torch.randn(3, 7, 11, dtype=torch.float64), torch.randint(11, (3, 7))
    other = torch.nn.functional.cross_entropy(
        logits[:, :-1].transpose(1, 2), labels[:, 1:], reduction="none"
    )
    torch.testing.assert_close(token_logps(logits, labels), -other)


def test_logits_of_any_scale_and_half_precision_are_summed_in_float32():
    logits = torch.randn(1, 50, 9) * 3
    labels, mask = (
        torch.randint(9, (1, 50)),
        torch.ones(1, 50, dtype=torch.bool).index_fill(1, torch.tensor([0]), False),
    )
    assert sequence_logps(logits.bfloat16(), labels, mask).dtype == torch.float32
    torch.testing.assert_close(
        sequence_logps(logits + 1e4, labels, mask),
        sequence_logps(logits, labels, mask),
        rtol=1e-3,
        atol=0.1,
    )
    assert sequence_logps(logits.double(), labels, mask).dtype == torch.float64


def test_a_masked_position_never_spreads_minus_infinity():
    logits = torch.zeros(1, 3, 4)
    logits[0, 0, 2] = -torch.inf
    labels = torch.tensor([[1, 2, 3]])
    assert sequence_logps(
        logits, labels, torch.tensor([[False, False, True]])
    ).item() == pytest.approx(-math.log(4))


@pytest.mark.parametrize(
    ("logits", "labels", "mask", "message"),
    [
        ((2, 5, 7), (2, 4), (2, 4), "logits must be"),
        ((2, 5), (2, 5), (2, 5), "logits must be"),
        ((2, 5, 7), (2, 5), (2, 4), "mask must be"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(logits, labels, mask, message):
    with pytest.raises(ValueError, match=message):
        sequence_logps(
            torch.zeros(logits),
            torch.zeros(labels, dtype=torch.long),
            torch.zeros(mask, dtype=torch.bool),
        )


def test_masks_that_cannot_be_meant_are_refused():
    logits, labels = torch.zeros(1, 3, 4), torch.zeros(1, 3, dtype=torch.long)
    with pytest.raises(ValueError, match="mask must be bool"):
        sequence_logps(logits, labels, torch.ones(1, 3))
    whole = (
        r"^the first token of a row can't be scored: nothing comes before it "
        r"\(give the row a prompt or a BOS token\)$"
    )
    with pytest.raises(ValueError, match=whole):
        sequence_logps(logits, labels, torch.tensor([[True, True, True]]))


def examples(n: int = 6) -> list[Example]:
    generator = torch.Generator().manual_seed(1)
    lengths = [(3 + 5 * i, 2 + 7 * i) for i in range(n)]
    return [
        Example(tuple(torch.randint(3, 160, (p + r,), generator=generator).tolist()), p)
        for p, r in lengths
    ]  # responses of 2 to 37 tokens


def tolerance(reference: torch.Tensor) -> torch.Tensor:
    return (
        1e-10 + 0 * reference if reference.dtype == torch.float64 else 1e-6 * reference.abs() + 1e-5
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", SHAPES)
def test_padding_side_batching_and_cache_do_not_change_a_log_probability(shape, dtype):
    model, rows = SHAPES[shape](dtype), examples()
    scorer = Scorer(model)
    with torch.no_grad():
        alone = torch.cat([scorer(**collate([row], pad_id=0)) for row in rows])
        found = {
            "right": scorer(**collate(rows, pad_id=0)),
            "left": scorer(**collate(rows, pad_id=0, side="left")),
            "padded with EOS": scorer(**collate(rows, pad_id=1)),
            "cached, other batches": score_examples(scorer, rows, 0, batch_size=4),
        }
    assert alone.dtype == dtype
    assert alone.abs().max() > 100  # long enough for float32 to show
    limit = tolerance(alone)
    if shape == "llama" and dtype == torch.float64:
        limit = 1e-6 * alone.abs()  # its norm layers round to float32 inside
    for name, value in found.items():
        assert ((value - alone).abs() <= limit).all(), (name, (value - alone).abs().max())


def test_what_is_scored_is_the_response_with_its_end_and_nothing_else(tiny):
    from dpo_from_scratch.tokens import encode

    _, tokenizer = tiny
    rows = encode(
        tokenizer,
        "film : how was the plot ?",
        "the plot was good .",
        "the cast bored me ! thank you .",
    )
    for side in ("left", "right"):
        batch = collate(rows, tokenizer.pad_token_id, side)
        scored = [
            tokenizer.decode(ids[mask])
            for ids, mask in zip(batch["input_ids"], batch["response_mask"], strict=True)
        ]
        assert scored == ["the plot was good . <eos>", "the cast bored me ! thank you . <eos>"]
