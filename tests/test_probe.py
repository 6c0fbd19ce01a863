"""`doctor.check` on trainers in many styles, healthy and broken in ways that only a step shows."""

import copy
import random

import pytest
import torch
import torch.nn.functional as F
from test_doctor import PAIRS, ours, problems

from dpo_from_scratch import doctor, losses, world
from dpo_from_scratch.data import DataError
from dpo_from_scratch.models import Scorer, frozen_copy, pad_id
from dpo_from_scratch.tokens import collate, encode

BETA = 0.3


def dpo(c, r, rc, rr):
    return -F.logsigmoid(BETA * ((c - rc) - (r - rr)))


class Loop:
    """A raw loop; a bug is a method put over one of its own."""

    rate, optimizer_class = 1e-3, torch.optim.AdamW

    def __init__(self, tiny, **changes):
        model, self.tokenizer = copy.deepcopy(tiny[0]).requires_grad_(True), tiny[1]
        self.policy, self.reference = model, frozen_copy(model)
        self.batch, self.plain_score = ours(model, self.tokenizer)
        self.loss, self.anchor = dpo, self.reference
        for name, value in changes.items():
            setattr(self, name, value.__get__(self) if name in OWN else value)
        self.optimizer = self.optimizer_class(self.trained(), lr=self.rate)

    def trained(self):
        return self.policy.parameters()

    def score(self, model, batch):
        return self.plain_score(model, batch)

    def reference_of(self, pairs):
        with torch.no_grad():
            return self.score(self.anchor, self.batch(pairs))

    def objective(self, pairs):
        c, r = self.score(self.policy, self.batch(pairs))
        return self.loss(c, r, *self.reference_of(pairs)).mean()

    def backward(self, pairs):
        self.optimizer.zero_grad()
        value = self.objective(pairs)
        value.backward()
        return value

    def step(self, pairs):
        value = self.backward(pairs)
        torch.nn.utils.clip_grad_norm_(self.policy.parameters(), 1.0)
        self.optimizer.step()
        return value.detach()

    def check(self, **other):
        hooks = {
            "score": self.score,
            "collate": self.batch,
            "policy": self.policy,
            "reference": self.reference,
            "pairs": PAIRS,
            "tokenizer": self.tokenizer,
            "loss": self.loss,
            "step": self.step,
            "steps": 4,
        }
        return doctor.check(**hooks | other)


OWN = ("trained", "score", "reference_of", "objective", "backward", "step")


def parts(size, scale=None, zero=False):
    """backward() in parts of `size` pairs, each divided as it should be, or by `scale`."""

    def backward(self, pairs):
        self.optimizer.zero_grad()
        many = len(pairs) // size
        for k in range(many):
            if zero:
                self.optimizer.zero_grad()
            value = self.objective(pairs[k * size : (k + 1) * size]) / (scale or many)
            value.backward()
        return value * (scale or many)

    return backward


def ref_changed(change):
    def reference_of(self, pairs):
        with torch.no_grad():
            return change(*self.score(self.reference, self.batch(pairs)))

    return reference_of


def without_zero_grad(self, pairs):
    value = self.objective(pairs)
    value.backward()
    return value


def only_some(which):
    def objective(self, pairs):
        c, r = self.score(self.policy, self.batch(pairs))
        return self.loss(c, r, *self.reference_of(pairs))[which].mean()

    return objective


def other_loss(loss):
    def objective(self, pairs):
        return loss(*self.score(self.policy, self.batch(pairs)), *self.reference_of(pairs)).mean()

    return objective


def detached(side):
    def objective(self, pairs):
        sides = list(self.score(self.policy, self.batch(pairs)))
        sides[side] = sides[side].detach()
        return self.loss(*sides, *self.reference_of(pairs)).mean()

    return objective


def clipped_backwards(self, pairs):
    value = self.backward(pairs)
    for p in self.policy.parameters():
        p.grad.mul_(-1.0)
    self.optimizer.step()
    return value


def weights_cut_after(self, pairs):
    value = self.backward(pairs)
    self.optimizer.step()
    with torch.no_grad():
        for p in self.policy.parameters():
            p.clamp_(-0.3, 0.3)
    return value


def moving_average(self, pairs):
    value = Loop.step(self, pairs)
    with torch.no_grad():
        for old, new in zip(self.reference.parameters(), self.policy.parameters(), strict=True):
            old.lerp_(new, 0.05)
    return value


def live(self, pairs):
    with torch.no_grad():
        return self.score(self.policy, self.batch(pairs))


def head_alone(self):
    return [self.policy.transformer.ln_f.weight, self.policy.transformer.ln_f.bias]


def cut_short(self, pairs):
    short = [{**p, "chosen": " ".join(p["chosen"].split()[:5])} for p in pairs]
    return Loop.objective(self, short)


SUM = lambda c, r, rc, rr: dpo(c, r, rc, rr).sum()
IN_STEP = {
    "chosen cut short": ({"objective": cut_short}, "step_differs"),
    "parts of a batch": ({"backward": parts(2)}, None),
    "one pair at a time": ({"backward": parts(1)}, None),
    "a moving average": ({"step": moving_average}, None),
    "a sum": ({"objective": other_loss(SUM)}, None),
    "SGD": ({"optimizer_class": torch.optim.SGD, "rate": 0.01}, None),
    "a tiny rate": ({"rate": 1e-6}, None),
    "parts that are not divided": ({"backward": parts(2, 1)}, "gradient_scaled"),
    "parts that are divided twice": ({"backward": parts(2, 16)}, "gradient_scaled"),
    "only the last part": ({"backward": parts(2, None, True)}, "pairs_lost"),
    "only the first pair": ({"objective": only_some([0])}, "pairs_lost"),
    "half of the pairs": ({"objective": only_some(slice(0, 4))}, "pairs_lost"),
    "no zero_grad": ({"backward": without_zero_grad}, "gradients_pile_up"),
    "chosen detached": ({"objective": detached(0)}, "side_detached"),
    "rejected detached": ({"objective": detached(1)}, "side_detached"),
    "reference rolled": (
        {"reference_of": ref_changed(lambda c, r: (c.roll(1), r.roll(1)))},
        "reference_rows",
    ),
    "reference sorted": (
        {"reference_of": ref_changed(lambda c, r: (c.sort().values, r.sort().values))},
        "reference_rows",
    ),
    "reference exchanged": (
        {"reference_of": ref_changed(lambda c, r: (r, c))},
        "reference_exchanged",
    ),
    "reference forgotten": (
        {"reference_of": ref_changed(lambda c, r: (0 * c, 0 * r))},
        "no_reference",
    ),
    "reference live in the step": ({"reference_of": live}, "reference_is_policy"),
    "another beta in the step": (
        {"objective": other_loss(lambda *a: losses.dpo(*a, beta=0.03))},
        "beta_differs",
    ),
    "the loss turned round": ({"objective": other_loss(lambda *a: -dpo(*a))}, "wrong_direction"),
    "gradients turned round": ({"step": clipped_backwards}, "wrong_direction"),
    "weights cut after the update": ({"step": weights_cut_after}, "moved_beside_optimizer"),
    "two tensors in the optimizer": ({"trained": head_alone}, "not_in_optimizer"),
    "another pair's rejected": (
        {"objective": other_loss(lambda c, r, rc, rr: dpo(c, r.roll(1), rc, rr.roll(1)))},
        "pairs_mixed",
    ),
}


@pytest.mark.parametrize("name", IN_STEP)
def test_a_step_is_seen_from_inside(name, tiny):
    changes, cause = IN_STEP[name]
    assert problems(Loop(tiny, **changes).check()) == ([cause] if cause else [])


@pytest.mark.parametrize("name", ["reference rolled", "no zero_grad", "only the first pair", "SGD"])
def test_a_step_is_seen_from_inside_without_the_loss(name, tiny):
    changes, cause = IN_STEP[name]
    assert problems(Loop(tiny, **changes).check(loss=None)) == ([cause] if cause else [])


BROKEN_LOSSES = {
    "no sign": (lambda c, r, rc, rr: -F.logsigmoid((c - r - rc + rr).abs()), "wrong_direction"),
    "clamped": (
        lambda c, r, rc, rr: -F.logsigmoid((c - rc).clamp(-5, 5) - (r - rr).clamp(-5, 5)),
        "bounded_loss",
    ),
    "sigmoid": (lambda c, r, rc, rr: -torch.sigmoid(BETA * (c - r - rc + rr)), "bounded_loss"),
    "mean inside": (
        lambda c, r, rc, rr: -F.logsigmoid(BETA * (c - r - rc + rr).mean()),
        "loss_of_mean",
    ),
    "log of mean": (
        lambda c, r, rc, rr: -torch.sigmoid(BETA * (c - r - rc + rr)).mean().log(),
        "loss_of_mean",
    ),
    "rejected detached": (lambda c, r, rc, rr: dpo(c, r.detach(), rc, rr), "side_detached"),
    "a plus": (lambda c, r, rc, rr: -F.logsigmoid(BETA * ((c - rc) + (r - rr))), "wrong_direction"),
    "reference exchanged": (lambda c, r, rc, rr: dpo(c, r, rr, rc), "reference_exchanged"),
    "beta on the reference": (
        lambda c, r, rc, rr: -F.logsigmoid((c - r) - BETA * (rc - rr)),
        "reference_weight",
    ),
    "beta twice": (
        lambda c, r, rc, rr: -F.logsigmoid(BETA * (BETA * (c - rc) - BETA * (r - rr))),
        "beta_twice",
    ),
    "beta on one side": (
        lambda c, r, rc, rr: -F.logsigmoid(BETA * (c - rc) - (r - rr)),
        "reference_weight",
    ),
    "rows against columns": (
        lambda c, r, rc, rr: dpo(c, r, rc[:, None], rr[:, None]),
        "pairs_mixed",
    ),
}


@pytest.mark.parametrize("name", BROKEN_LOSSES)
def test_a_loss_is_looked_at_as_a_function(name, tiny):
    loss, cause = BROKEN_LOSSES[name]
    assert problems(Loop(tiny, loss=loss).check(step=None)) == [cause]


def test_the_effective_beta_is_always_said(tiny):
    notes = {f.code: f.seen for f in Loop(tiny).check()}
    assert "beta of 0.3" in notes["effective_beta"]
    found = {f.code: f.seen for f in Loop(tiny).check(loss=None, step=None)}
    assert "`loss` was not given" in found["not_looked_at"]
    assert "`step` was not given" in found["not_looked_at"]


def test_a_nll_term_and_a_hinge_are_healthy(tiny):
    for loss in (
        lambda c, r, rc, rr: dpo(c, r, rc, rr) - 0.05 * c,
        lambda c, r, rc, rr: F.relu(1 - BETA * (c - r - rc + rr)),
        lambda c, r, rc, rr: (c - r - rc + rr - 1 / (2 * BETA)) ** 2,
    ):
        assert problems(Loop(tiny, loss=loss, rate=1e-4).check()) == []


def test_a_nll_term_that_only_the_step_adds_is_a_note_and_any_other_term_is_not(tiny):
    def objective(share):
        def added(self, pairs):
            c, r = self.score(self.policy, self.batch(pairs))
            return self.loss(c, r, *self.reference_of(pairs)).mean() - share(c, r)

        return added

    found = Loop(tiny, objective=objective(lambda c, r: 0.05 * c.mean())).check()
    assert problems(found) == []
    assert "NLL" in next(f.seen for f in found if f.code == "step_differs")
    other = Loop(tiny, objective=objective(lambda c, r: 0.05 * r.mean())).check()
    assert problems(other) == ["first_loss"]


def test_label_smoothing_above_one_half_goes_uphill(tiny):
    def smooth(epsilon):
        return lambda c, r, rc, rr: (1 - epsilon) * dpo(c, r, rc, rr) + epsilon * dpo(r, c, rr, rc)

    assert problems(Loop(tiny, loss=smooth(0.2)).check()) == []
    assert problems(Loop(tiny, loss=smooth(0.9)).check(step=None)) == ["wrong_direction"]


def kept(loop, order=None):
    """A cache of the reference's scores by row."""
    with torch.no_grad():
        sides = loop.score(loop.reference, loop.batch(PAIRS))
    table = {p["chosen"]: i for i, p in enumerate(PAIRS)}
    order = order or list(range(len(PAIRS)))
    where = lambda pairs: [order[table[p["chosen"]]] for p in pairs]
    return lambda pairs: tuple(side[where(pairs)] for side in sides)


def test_kept_scores_are_compared_row_by_row(tiny):
    loop = Loop(tiny)
    scores = kept(loop)
    loop.reference_of = scores
    assert problems(loop.check(reference=None, reference_scores=scores)) == []
    wrong = kept(loop, [*range(1, len(PAIRS)), 0])
    assert problems(loop.check(reference_scores=wrong)) == ["reference_rows"]
    by_place = lambda pairs: tuple(side[: len(pairs)] for side in scores(PAIRS))
    assert problems(loop.check(reference_scores=by_place)) == ["reference_rows"]
    with pytest.raises(DataError, match="give a reference"):
        loop.check(reference=None)


def lora(tiny, dropout=0.0):
    from dpo_from_scratch.training.lora import add_lora

    model = add_lora(copy.deepcopy(tiny[0]), 4)
    for name, part in model.named_modules():
        if "lora_dropout" in name and dropout:
            for key in list(getattr(part, "keys", list)()):
                part[key] = torch.nn.Dropout(dropout)
    return model


class Off(torch.nn.Module):
    """The adapters off, or not."""

    def __init__(self, policy, off=True):
        super().__init__()
        self.kept, self.off = [policy], off

    def forward(self, **inputs):
        if not self.off:
            return self.kept[0](**inputs)
        with self.kept[0].disable_adapter():
            return self.kept[0](**inputs)


class Hidden(torch.nn.Module):
    """An adapter that begins at zero, with a dropout that is no module."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner
        self.a = torch.nn.Parameter(torch.randn(4, 96) / 10)
        self.b = torch.nn.Parameter(torch.zeros(96, 4))

    def forward(self, x):
        return self.inner(x) + F.dropout(x, 0.1, self.training) @ self.a.T @ self.b.T


def test_a_dropout_that_is_no_module_in_a_new_adapter_is_found(tiny):
    for training in (False, True):
        loop = Loop(tiny)
        loop.policy.requires_grad_(False)
        loop.policy.transformer.ln_f = Hidden(loop.policy.transformer.ln_f).train(training)
        adapter = [p for p in loop.policy.parameters() if p.requires_grad]
        loop.optimizer = torch.optim.AdamW(adapter, lr=1e-4)
        assert problems(loop.check()) == (["dropout"] if training else [])


@pytest.mark.filterwarnings("ignore")
def test_adapters_off_as_the_reference_on_and_with_dropout(tiny):
    for believed, used, rate, cause in (
        (True, True, 0.0, None),
        (False, False, 0.0, "adapter_in_reference"),
        (True, False, 0.0, "adapter_in_reference"),
        (True, True, 0.1, None),
        (True, True, 0.3, "dropout"),
    ):
        loop = Loop(tiny)
        loop.policy = lora(tiny, rate)
        loop.policy.train(rate > 0)
        loop.reference, loop.anchor = Off(loop.policy, believed), Off(loop.policy, used)
        loop.optimizer = torch.optim.AdamW([p for p in loop.policy.parameters() if p.requires_grad])
        assert problems(loop.check()) == ([cause] if cause else [])


def packed(tokenizer, cut=True):
    """All responses of a batch in one row, each with positions of its own."""

    def collate(pairs):
        rows = [
            e
            for s in (0, 1)
            for p in pairs
            for e in (encode(tokenizer, p["prompt"], p["chosen"], p["rejected"])[s],)
        ]
        ids = torch.tensor([[i for e in rows for i in e.ids]])
        place = torch.tensor([[t for e in rows for t in range(len(e.ids))]])
        owner = torch.tensor([[k for k, e in enumerate(rows) for _ in e.ids]])
        scored = torch.tensor([[t >= e.prompt_length for e in rows for t in range(len(e.ids))]])
        see = torch.ones(ids.shape[1], ids.shape[1], dtype=torch.bool).tril()
        if cut:
            see &= owner == owner.T
        return ids, place, owner, scored, see[None, None], len(rows)

    def score(model, batch):
        ids, place, owner, scored, see, n = batch
        mask = torch.zeros(see.shape).masked_fill(~see, torch.finfo(torch.float32).min)
        logits = model(input_ids=ids, attention_mask=mask, position_ids=place).logits
        logps = logits[:, :-1].log_softmax(-1).gather(-1, ids[:, 1:, None]).squeeze(-1)
        sums = torch.zeros(n).index_add(0, owner[0, 1:], (logps * scored[:, 1:])[0])
        return sums.chunk(2)

    return collate, score


def test_packed_rows_with_a_mask_of_four_dimensions_are_read(tiny):
    for cut, cause in ((True, None), (False, "batch_dependence")):
        loop = Loop(tiny)
        loop.batch, loop.plain_score = packed(loop.tokenizer, cut)
        assert problems(loop.check()) == ([cause] if cause else [])


def test_parameters_outside_of_a_module_are_seen_and_put_back(tiny):
    for bug in (False, True):
        loop = Loop(tiny)
        weights = {
            k: v.detach().clone().requires_grad_() for k, v in loop.policy.named_parameters()
        }
        before = {k: v.detach().clone() for k, v in weights.items()}

        def score(model, batch, loop=loop, weights=weights):
            if model is loop.policy:
                scorer = Scorer(model)
                named = {f"model.{k}": v for k, v in weights.items()}
                return torch.func.functional_call(scorer, named, (), batch).chunk(2)
            return loop.plain_score(model, batch)

        loop.score = score
        loop.optimizer = torch.optim.AdamW(weights.values(), lr=1e-3)
        if bug:
            loop.backward = without_zero_grad.__get__(loop)
        found = loop.check()
        assert problems(found) == (["gradients_pile_up"] if bug else [])
        assert all(torch.equal(weights[k], before[k]) for k in before)


def offset_score(d):
    """A score that takes the token `d` places on from each position."""

    def score(model, batch):
        ids, mask = batch["input_ids"], batch["attention_mask"]
        logits = model(input_ids=ids, attention_mask=mask).logits
        n = ids.shape[1] - d
        logps = logits[:, :n].log_softmax(-1).gather(-1, ids[:, d:, None]).squeeze(-1)
        return (logps * batch["response_mask"][:, d:]).sum(-1).chunk(2)

    return score


@pytest.mark.parametrize("d", [0, 1, 2, 3])
def test_any_offset_of_what_is_scored_is_told(d, tiny):
    loop = Loop(tiny)
    loop.plain_score = offset_score(d)
    found = loop.check(step=None, loss=None)
    assert problems(found) == ([] if d == 1 else ["not_shifted"])


def test_unknown_words_are_one_finding(tiny):
    rows = [
        {"prompt": "zzz qqq ?", "chosen": f"kk {'jj ' * k}", "rejected": f"ll {'mm ' * (9 - k)}"}
        for k in range(4)
    ]
    found = Loop(tiny).check(pairs=rows, step=None, loss=None)
    assert problems(found) == ["unknown_tokens"]


def test_a_pair_of_equal_sides_is_named(tiny):
    def batch(pairs):  # this package's own refuses such a pair
        sides = [encode(tiny[1], r["prompt"], r["chosen"], r["rejected"]) for r in pairs]
        return collate([e for side in zip(*sides, strict=True) for e in side], pad_id(tiny[1]))

    rows = [*PAIRS[:3], {**PAIRS[3], "rejected": PAIRS[3]["chosen"]}]
    assert problems(Loop(tiny, batch=batch).check(pairs=rows, step=None, loss=None)) == [
        "equal_pair"
    ]


def test_text_that_ends_with_its_end_token_is_healthy(tiny):
    ended = [{**p, **{s: p[s] + " <eos>" for s in ("chosen", "rejected")}} for p in PAIRS]
    assert problems(Loop(tiny).check(pairs=ended, step=None, loss=None)) == []


SCORES = {
    "probabilities": (lambda logits: logits.softmax(-1), "not_log_softmax"),
    "raw logits": (lambda logits: logits, "not_log_softmax"),
    "exponentials": (lambda logits: logits.log_softmax(-1).exp().exp(), "not_log_softmax"),
    "a temperature": (lambda logits: (logits / 1.5).log_softmax(-1), "not_log_softmax"),
    "the padded row": (lambda logits: logits.log_softmax(1), "not_log_softmax"),
}


@pytest.mark.parametrize("name", SCORES)
def test_what_is_no_log_softmax_is_one_finding(name, tiny):
    normalize, cause = SCORES[name]

    def score(model, batch):
        ids = batch["input_ids"]
        logits = model(input_ids=ids, attention_mask=batch["attention_mask"]).logits[:, :-1]
        picked = normalize(logits).gather(-1, ids[:, 1:, None]).squeeze(-1)
        return (picked * batch["response_mask"][:, 1:]).sum(-1).chunk(2)

    loop = Loop(tiny)
    loop.plain_score = score
    assert problems(loop.check()) == [cause]


def test_what_the_trainer_raises_is_one_sentence_that_names_the_function(tiny):
    def broken(*args):
        raise RuntimeError("no such thing")

    loop = Loop(tiny)
    for name in ("score", "collate", "loss", "step"):
        with pytest.raises(DataError, match=f"your {name} raised RuntimeError: no such thing"):
            loop.check(**{name: broken})
    with pytest.raises(DataError, match="two tensors, chosen and rejected"):
        loop.check(score=lambda m, b: torch.zeros(3))


def test_the_trainer_is_left_as_it_was(tiny):
    loop = Loop(tiny)
    loop.policy.train()
    loop.policy.lm_head.eval()
    weights = {k: v.clone() for k, v in loop.policy.state_dict().items()}
    torch.manual_seed(5)
    random.seed(5)
    state = torch.get_rng_state(), random.getstate()
    loop.check()
    assert all(torch.equal(v, weights[k]) for k, v in loop.policy.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state[0])
    assert random.getstate() == state[1]
    assert loop.policy.training
    assert not loop.policy.lm_head.training
    assert all(p.grad is None for p in loop.policy.parameters())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in loop.policy.modules())


def test_a_slight_look_at_other_rows_is_found_by_its_gradient(tiny):
    """A score that leaks by far less than any tolerance."""
    loop = Loop(tiny)

    def score(model, batch):
        flat = torch.cat(list(loop.__class__.score(loop, model, batch)))
        return (flat + 1e-5 * (flat.roll(1) - flat)).chunk(2)

    found = loop.check(score=score, step=None, loss=None)
    assert problems(found) == ["batch_dependence"]


def test_more_pairs_than_are_looked_into_are_fine(tiny):
    rows = world.make_pairs(20, seed=5)
    assert problems(Loop(tiny).check(pairs=rows)) == []


def rows_changed(change, mask_change=lambda mask: mask):
    """A collate whose rows are put together from prompt and response by `change`."""

    def collate(self, pairs):
        built = []
        for side in ("chosen", "rejected"):
            for i, p in enumerate(pairs):
                (e,) = encode(self.tokenizer, p["prompt"], p[side])
                prompt, response = list(e.ids[: e.prompt_length]), list(e.ids[e.prompt_length :])
                other = encode(self.tokenizer, pairs[i - 1]["prompt"], p[side])[0]
                built.append(change(prompt, response, list(other.ids[: other.prompt_length])))
        width = max(len(ids) for ids, _ in built)
        fill = lambda row: row + [0] * (width - len(row))
        masks = [mask_change([0] * (len(ids) - n) + [1] * n) for ids, n in built]
        return {
            "input_ids": torch.tensor([fill(ids) for ids, _ in built]),
            "attention_mask": torch.tensor([fill([1] * len(ids)) for ids, _ in built]),
            "response_mask": torch.tensor([fill(m) for m in masks]).bool(),
        }

    return collate


EOS = 1
ROWS = {
    "as it should be": (rows_changed(lambda p, r, o: (p + r, len(r))), None),
    "no prompt": (rows_changed(lambda p, r, o: ([EOS, *r], len(r))), "prompt_missing"),
    "the prompt's end cut": (rows_changed(lambda p, r, o: (p[:3] + r, len(r))), "prompt_missing"),
    "the prompt's beginning cut": (rows_changed(lambda p, r, o: (p[3:] + r, len(r))), None),
    "another pair's prompt": (rows_changed(lambda p, r, o: (o + r, len(r))), "pairs_mixed"),
    "a beginning between": (rows_changed(lambda p, r, o: ([*p, EOS, *r], len(r))), "bos_inside"),
    "two beginnings": (rows_changed(lambda p, r, o: ([EOS, EOS, *p, *r], len(r))), "bos_doubled"),
    "one token early": (rows_changed(lambda p, r, o: (p + r, len(r) + 1)), "prompt_scored"),
    "one token late": (rows_changed(lambda p, r, o: (p + r, len(r) - 1)), "wrong_window"),
    "cut in front": (rows_changed(lambda p, r, o: (p + r[4:], len(r) - 4)), "truncated"),
    "no end": (rows_changed(lambda p, r, o: (p + r[:-1], len(r) - 1)), "eos_missing"),
    "two ends": (rows_changed(lambda p, r, o: ([*p, *r, EOS], len(r) + 1)), "eos_doubled"),
    "every second token": (
        rows_changed(
            lambda p, r, o: (p + r, len(r)), lambda m: [x * (k % 2) for k, x in enumerate(m)]
        ),
        "wrong_window",
    ),
}


@pytest.mark.parametrize("name", ROWS)
def test_rows_are_judged_by_ids_and_places(name, tiny):
    collate, cause = ROWS[name]
    loop = Loop(tiny)
    assert loop.tokenizer.eos_token_id == EOS
    loop.batch = collate.__get__(loop)
    assert problems(loop.check(step=None, loss=None)) == ([cause] if cause else [])


def test_scores_by_the_model_s_own_loss_and_under_autocast_are_healthy(tiny):
    def own(model, batch):
        out = []
        for ids, mask in zip(batch["input_ids"], batch["response_mask"], strict=True):
            labels = ids.masked_fill(~mask, -100)[None]
            out.append(-model(input_ids=ids[None], labels=labels).loss * mask.sum())
        return torch.stack(out).chunk(2)

    def autocast(model, batch):
        with torch.autocast("cpu", torch.bfloat16):
            return Loop.score(loop, model, batch)

    loop = Loop(tiny)
    assert problems(loop.check(score=own, step=None)) == []
    assert problems(loop.check(score=autocast, step=None)) == []


# ---------------------------------------------------------------- one row for a pair
def pair_rows(leak=False, first_from="prompt", end=True, restart=True):
    """Prompt, chosen and rejected in one row; a response's first token comes from the prompt."""

    def connect(tokenizer):
        def collate(pairs):
            rows = []
            for p in pairs:
                c, r = encode(tokenizer, p["prompt"], p["chosen"], p["rejected"])
                n = c.prompt_length
                rows.append((list(c.ids[:n]), list(c.ids[n:]), list(r.ids[n:])))
            return rows

        def one(model, prompt, sides):
            n, m = len(prompt), len(sides[0])
            ids = torch.tensor([prompt + sides[0] + sides[1]])
            owner = torch.tensor([0] * n + [1] * m + [2] * len(sides[1]))
            see = (owner[:, None] == owner) | (owner == 0)
            see = torch.ones(len(owner), len(owner)).bool().tril() & (see | leak)
            place = torch.cat([torch.arange(n + m), torch.arange(n, n + len(sides[1]))])
            place = place if restart else torch.arange(len(place))
            mask = torch.zeros(see.shape).masked_fill(~see, torch.finfo(torch.float32).min)
            logits = model(
                input_ids=ids, attention_mask=mask[None, None], position_ids=place[None]
            ).logits
            logp, out = logits[0].log_softmax(-1), []
            for start, tokens in ((n, sides[0]), (n + m, sides[1])):
                at = torch.arange(start - 1, start - 1 + len(tokens))
                at[0] = n - 1 if first_from == "prompt" else start - 1
                keep = len(tokens) - (not end)
                out.append(logp[at, torch.tensor(tokens)][:keep].sum())
            return out

        def score(model, batch):
            scores = [one(model, prompt, sides) for prompt, *sides in batch]
            return [torch.stack(side) for side in zip(*scores, strict=True)]

        return collate, score

    return connect


PAIR_ROWS = {
    "as it should be": ({}, None),
    "neighbours are seen": ({"leak": True}, "batch_dependence"),
    "the first token comes from the neighbour": ({"first_from": "left"}, "batch_dependence"),
    "positions run on": ({"restart": False}, "batch_dependence"),
    "no end": ({"end": False}, "eos_missing"),
}


@pytest.mark.parametrize("name", PAIR_ROWS)
def test_two_responses_that_share_a_prompt_in_a_row(name, tiny):
    faults, cause = PAIR_ROWS[name]
    loop = Loop(tiny)
    loop.batch, loop.plain_score = pair_rows(**faults)(loop.tokenizer)
    assert problems(loop.check(step=None)) == ([cause] if cause else [])


def test_equal_first_tokens_of_neighbours_are_told_apart(tiny):
    rows = [{**p, "rejected": p["chosen"].split()[0] + " " + p["rejected"]} for p in PAIRS]
    loop = Loop(tiny)
    loop.batch, loop.plain_score = pair_rows()(loop.tokenizer)
    assert problems(loop.check(pairs=rows, step=None)) == []


def head_at_responses(model, batch):
    """The head at the places that count alone, which saves memory."""
    ids, mask = batch["input_ids"], batch["response_mask"][:, 1:]
    hidden = model.transformer(input_ids=ids, attention_mask=batch["attention_mask"])[0][:, :-1]
    logp = model.lm_head(hidden[mask]).log_softmax(-1)
    picked = logp.gather(-1, ids[:, 1:][mask][:, None]).squeeze(-1)
    owner = torch.arange(len(ids))[:, None].expand(mask.shape)[mask]
    return torch.zeros(len(ids)).index_add(0, owner, picked).chunk(2)


def head_of_slices(start, stop, first):
    """The head on a slice of the hidden states, of each side; labels from place `first` on."""

    def score(model, batch):
        sides, logps = {k: v.chunk(2) for k, v in batch.items()}, []
        hidden = [
            model.transformer(input_ids=i, attention_mask=m)[0]
            for i, m in zip(sides["input_ids"], sides["attention_mask"], strict=True)
        ]
        for h, ids, mask in zip(hidden, sides["input_ids"], sides["response_mask"], strict=True):
            logp = model.lm_head(h[:, start:stop]).log_softmax(-1)
            n = logp.shape[1]
            labels = ids[:, first : first + n]
            picked = logp[:, : labels.shape[1]].gather(-1, labels[..., None]).squeeze(-1)
            logps.append((picked * mask[:, first : first + n]).sum(-1))
        return logps

    return score


def kept_prompt(model, batch):
    """Each prompt once; its keys and values are kept for the response."""
    scores = []
    for ids, mask in zip(batch["input_ids"], batch["response_mask"], strict=True):
        n, real = int(mask.int().argmax()), ids[: int(mask.nonzero().max()) + 1]
        front = model(input_ids=real[None, :n], use_cache=True)
        rest = model(input_ids=real[None, n:], past_key_values=front.past_key_values)
        logp = torch.cat([front.logits[0, -1:], rest.logits[0, :-1]]).log_softmax(-1)
        scores.append(logp.gather(-1, real[n:, None]).sum())
    return torch.stack(scores).chunk(2)


def cut_inputs(shift):
    """The model gets all but the last token; labels are those that follow, or one more."""

    def score(model, batch):
        ids, labels = batch["input_ids"][:, :-1], batch["input_ids"][:, 1:][:, shift:]
        logits = model(input_ids=ids, attention_mask=batch["attention_mask"][:, :-1]).logits
        logp = logits[:, : labels.shape[1]].log_softmax(-1)
        picked = logp.gather(-1, labels.unsqueeze(-1)).squeeze(-1)
        return (picked * batch["response_mask"][:, 1:][:, shift:]).sum(-1).chunk(2)

    return score


SHORT = [
    {"prompt": p["prompt"], "chosen": "it was good .", "rejected": "it was bad ."} for p in PAIRS
]
SHORT[1] = {**SHORT[1], "chosen": "good .", "rejected": "it was a dull film ."}
PLACES = {
    "the head at some places": (head_at_responses, None),
    "the head of a slice": (head_of_slices(0, -1, 1), None),
    "the head of what comes last": (head_of_slices(2, -1, 3), None),
    "the head of the tokens themselves": (head_of_slices(1, None, 1), "not_shifted"),
    "the prompt kept": (kept_prompt, None),
    "inputs cut by one": (cut_inputs(0), None),
    "cut and shifted again": (cut_inputs(1), "not_shifted"),
}


class Wrapped(torch.nn.Module):
    """A policy that gives out log-probabilities, all of them or all but the last place's."""

    def __init__(self, model, stop, normalize=True):
        super().__init__()
        self.model, self.stop, self.normalize = model, stop, normalize

    def forward(self, ids, mask):
        logits = self.model(input_ids=ids, attention_mask=mask).logits[:, : self.stop]
        return logits.log_softmax(-1) if self.normalize else logits


@pytest.mark.parametrize(("stop", "normalize"), [(None, True), (-1, True), (-1, False)])
def test_a_wrapper_that_normalizes_or_cuts_is_healthy(stop, normalize, tiny):
    def score(model, batch):
        ids = batch["input_ids"]
        logp = model(ids, batch["attention_mask"])[:, : ids.shape[1] - 1]
        logp = logp if normalize else logp.log_softmax(-1)
        picked = logp.gather(-1, ids[:, 1:, None]).squeeze(-1)
        return (picked * batch["response_mask"][:, 1:]).sum(-1).chunk(2)

    loop = Loop(tiny)
    hooks = {"policy": Wrapped(loop.policy, stop, normalize), "score": score, "step": None}
    hooks["reference"] = frozen_copy(hooks["policy"])
    assert problems(loop.check(**hooks)) == []


@pytest.mark.parametrize("rows", [PAIRS[:4], SHORT[:4]], ids=["long", "short"])
@pytest.mark.parametrize("name", PLACES)
def test_labels_are_found_where_they_stand(name, rows, tiny):
    score, cause = PLACES[name]
    loop = Loop(tiny)
    found = problems(loop.check(score=score, pairs=rows, step=None, loss=None))
    assert found == ([cause] if cause else [])


# ---------------------------------------------------------------- what may be meant
def means(over):
    def score(self, model, batch):
        c, r = self.plain_score(model, batch)
        mask = batch["response_mask"]
        n = mask.sum(1) if over != "width" else torch.full((len(mask),), mask.shape[1])
        if over == "rejected":
            n[: len(c)] = 1
        return c / n[: len(c)], r / n[len(c) :]

    return score


def with_beta(beta):
    return lambda c, r, rc, rr: -F.logsigmoid(beta * ((c - rc) - (r - rr)))


IPO = lambda c, r, rc, rr: (c - r - rc + rr - 1) ** 2
MEANT = {
    "DPO": ("own", dpo, ["mean"]),
    "DPO with a large beta": ("own", with_beta(5.0), []),
    "IPO": ("own", IPO, []),
    "one side": ("rejected", with_beta(5.0), ["mean"]),
    "the batch's width": ("width", with_beta(5.0), ["batch_dependence"]),
}


@pytest.mark.parametrize("name", MEANT)
def test_means_are_weighed_by_the_loss(name, tiny):
    over, loss, causes = MEANT[name]
    loop = Loop(tiny, score=means(over))
    found = loop.check(loss=loss, step=None)
    assert problems(found) == causes
    assert causes or "mean" in [f.code for f in found]


def prompt_counts(*which):
    """Scores that count the prompt too, of the chosen side, the rejected one, or both."""

    def score(self, model, batch):
        real = batch["attention_mask"].bool()
        mask, half = batch["response_mask"].clone(), len(real) // 2
        for s in which:
            mask[s * half : (s + 1) * half] = real[s * half : (s + 1) * half]
        mask[:, 0] = False
        return self.plain_score(model, {**batch, "response_mask": mask})

    return score


PROMPTS = {
    "both sides": ((0, 1), dpo, None),
    "one side": ((1,), dpo, "prompt_scored"),
    "both sides, and an NLL term": (
        (0, 1),
        lambda c, r, rc, rr: dpo(c, r, rc, rr) - 0.05 * c,
        "prompt_scored",
    ),
    "both sides of a loss of each": (
        (0, 1),
        lambda c, r, rc, rr: (1 - torch.sigmoid(BETA * (c - rc))) + torch.sigmoid(BETA * (r - rr)),
        "prompt_scored",
    ),
}


@pytest.mark.parametrize("name", PROMPTS)
def test_a_prompt_that_cancels_is_a_note(name, tiny):
    which, loss, cause = PROMPTS[name]
    loop = Loop(tiny, score=prompt_counts(*which), loss=loss)
    found = loop.check(step=None)
    assert problems(found)[:1] == ([cause] if cause else [])
    assert "prompt_scored" in [f.code for f in found]


def test_a_step_alone_shows_that_a_prompt_cancels(tiny):
    assert problems(Loop(tiny, score=prompt_counts(0, 1)).check(loss=None, steps=3)) == []


# ---------------------------------------------------------------- the reference
def test_any_order_of_the_reference_s_numbers_is_found(tiny):
    by_length = sorted(range(len(PAIRS)), key=lambda i: len(PAIRS[i]["chosen"]))
    for order in (by_length, [0, 0, 2, 2, 4, 4, 6, 6]):
        loop = Loop(tiny)
        wrong = kept(loop, order)
        assert problems(loop.check(reference_scores=wrong, step=None)) == ["reference_rows"]
    right, wrong = kept(loop), kept(loop, [3, 1, 0, 2, 6, 5, 7, 4])
    for used in (wrong, lambda pairs: (right(pairs)[0], wrong(pairs)[1])):
        loop.reference_of = used
        assert problems(loop.check()) == ["reference_rows"]


def test_a_loss_without_a_reference_needs_none(tiny):
    loop = Loop(tiny, score=means("own"), rate=1e-4)
    for loss in (
        lambda c, r, rc, rr: -F.logsigmoid(2.0 * (c - r) - 0.5),
        lambda c, r: -F.logsigmoid(2.0 * (c - r) - 0.5),
        lambda c, r, beta=2.0, gamma=0.5: -F.logsigmoid(beta * (c - r) - gamma),
        lambda c, r, *_: -c - F.logsigmoid(c - r - (torch.log1p(-c.exp()) - torch.log1p(-r.exp()))),
    ):
        found = loop.check(loss=loss, step=None, reference=None, pairs=PAIRS[:2])
        assert problems(found) == []
        assert "no_reference" in [f.code for f in found]
    loop.loss = lambda c, r, *_: -F.logsigmoid(2.0 * (c - r) - 0.5)
    hooks = {"score": loop.score, "collate": loop.batch, "policy": loop.policy, "pairs": PAIRS}
    hooks |= {"tokenizer": loop.tokenizer, "loss": loop.loss, "step": loop.step, "steps": 3}
    assert problems(doctor.check(**hooks)) == []
    with pytest.raises(DataError, match="give a reference"):
        loop.check(reference=None, loss=dpo)


# ---------------------------------------------------------------- steps, and betas by name
def test_an_optimizer_of_another_copy_s_weights_is_named(tiny):
    other = copy.deepcopy(tiny[0]).requires_grad_(True)
    loop = Loop(tiny, trained=lambda self: other.parameters())
    assert problems(loop.check(steps=2)) == ["not_in_optimizer"]
    assert problems(Loop(tiny, rate=0.0).check(steps=2)) == ["no_gradient"]


class Settings:
    adam_beta1, adam_beta2, beta = 0.9, 0.999, 0.3


class Holder:
    """Like a Trainer: its settings name an optimizer's betas too."""

    def __init__(self, power):
        self.args, self.power = Settings(), power

    def objective(self, c, r, rc, rr):
        scale = self.args.beta**self.power
        return -F.logsigmoid(scale * ((c - rc) - (r - rr)))


@pytest.mark.parametrize("power", [1, 2])
def test_the_beta_is_found_by_its_name_in_a_trainer_s_settings(power, tiny):
    holder, options = Holder(power), {"beta": 0.3, "betas": (0.9, 0.95), "beta1": 0.9}

    def by_options(c, r, rc, rr, beta=None):
        return -F.logsigmoid(options["beta"] ** power * ((c - rc) - (r - rr)))

    wrong = ["beta_twice"] if power == 2 else []
    for loss in (holder.objective, lambda *scores: holder.objective(*scores), by_options):
        assert problems(Loop(tiny).check(loss=loss, step=None, pairs=PAIRS[:2])) == wrong


def test_a_loss_that_begins_uphill_is_healthy_in_steps(tiny):
    uphill = lambda c, r, rc, rr: losses.discopop(c, r, rc, rr, beta=0.05)
    assert problems(Loop(tiny, loss=uphill).check(steps=3)) == []


# ---------------------------------------------------------------- what stands before a response
def told_rows(build, hide=False):
    """A collate whose rows are texts: `build(pairs, i, side)` gives what stands in front."""

    def collate(self, pairs):
        tokens = lambda text: self.tokenizer(text, add_special_tokens=False)["input_ids"]
        built = []
        for side in ("chosen", "rejected"):
            for i, p in enumerate(pairs):
                front, response = build(pairs, i, side), [*tokens(p[side]), EOS]
                built.append((tokens(front), response, tokens(p["prompt"])))
        width = max(len(f) + len(r) for f, r, _ in built)
        fill = lambda row: row + [0] * (width - len(row))
        ids = torch.tensor([fill(f + r) for f, r, _ in built])
        place = torch.arange(width)
        starts = torch.tensor([len(f) for f, _, _ in built])[:, None]
        ends = torch.tensor([len(f) + len(r) for f, r, _ in built])[:, None]
        hidden = torch.tensor([hide * (len(f) - len(p)) for f, _, p in built])[:, None]
        real = (place < ends) & (place >= hidden)
        positions = (real.long().cumsum(1) - 1).clamp(min=0)
        return ids, real, positions, (place >= starts) & (place < ends)

    def score(self, model, batch):
        ids, real, positions, scored = batch
        see = torch.ones(ids.shape[1], ids.shape[1]).bool().tril() & real[:, None]
        see |= torch.eye(ids.shape[1]).bool()
        mask = torch.zeros(see.shape).masked_fill(~see, torch.finfo(torch.float32).min)[:, None]
        mask = mask if hide else real.long()
        logits = model(input_ids=ids, attention_mask=mask, position_ids=positions).logits
        logps = logits[:, :-1].log_softmax(-1).gather(-1, ids[:, 1:, None]).squeeze(-1)
        return (logps * scored[:, 1:]).sum(-1).chunk(2)

    return collate, score


def one_list(pairs, i, side):
    p = pairs[i]
    return p["prompt"] + (f" {p['chosen']} <eos>" if side == "rejected" else "")


FRONTS = {
    "the prompt": (lambda pairs, i, side: pairs[i]["prompt"], None),
    "one list for both sides": (one_list, "wrong_context"),
    "the other response instead": (lambda p, i, s: p[i]["rejected"], "wrong_context"),
    "the prompt twice": (lambda p, i, s: f"{p[i]['prompt']} {p[i]['prompt']}", "wrong_context"),
    "another prompt too": (
        lambda p, i, s: f"{p[(i + 1) % len(p)]['prompt']} {p[i]['prompt']}",
        "wrong_context",
    ),
    "the row before": (
        lambda p, i, s: f"{p[i - 1]['prompt']} {p[i - 1][s]} <eos> {p[i]['prompt']}",
        "wrong_context",
    ),
}


@pytest.mark.parametrize("name", FRONTS)
def test_only_its_prompt_stands_before_a_response(name, tiny):
    build, cause = FRONTS[name]
    loop = Loop(tiny)
    batch, score = told_rows(build)
    loop.batch, loop.score = batch.__get__(loop), score.__get__(loop)
    short = [{**p, "chosen": " ".join(p["chosen"].split()[:9])} for p in PAIRS]
    short = [{**p, "rejected": " ".join(p["rejected"].split()[:9])} for p in short]
    found = problems(loop.check(step=None, loss=None, pairs=short[:3]))
    assert found[:1] == ([cause] if cause else [])


def test_what_a_mask_hides_is_no_context(tiny):
    loop = Loop(tiny)
    batch, score = told_rows(lambda p, i, s: f"{p[i - 1][s]} {p[i]['prompt']}", hide=True)
    loop.batch, loop.score = batch.__get__(loop), score.__get__(loop)
    short = [{**p, "chosen": " ".join(p["chosen"].split()[:9])} for p in PAIRS]
    assert problems(loop.check(step=None, loss=None, pairs=short[:3])) == []


# ---------------------------------------------------------------- adapters, kept scores, rounding
def with_adapters(tiny, rate=0.0):
    loop = Loop(tiny)
    loop.policy = lora(tiny, rate)
    trained = [p for p in loop.policy.parameters() if p.requires_grad]
    loop.optimizer = torch.optim.AdamW(trained, lr=1e-3)
    return loop


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("off", "own", "cause"),
    [(True, False, None), (False, False, "adapter_in_reference"), (True, True, "dropout")],
)
def test_reference_scores_are_asked_again_from_moved_weights(off, own, cause, tiny):
    loop = with_adapters(tiny, 0.05)
    if own:  # an adapter of the reference's own, whose dropout is on
        loop.reference = loop.anchor = lora(tiny, 0.05).train()
        found = loop.check(steps=2, pairs=PAIRS[:2])
    else:
        loop.anchor = Off(loop.policy, off)
        hooks = {"reference": None, "reference_scores": loop.reference_of}
        found = loop.check(**hooks, steps=2, pairs=PAIRS[:2])
    assert problems(found) == ([cause] if cause else [])


@pytest.mark.filterwarnings("ignore")
def test_dropout_of_adapters_in_training_steps_is_a_note(tiny):
    loop = with_adapters(tiny, 0.05)
    loop.reference = loop.anchor = Off(loop.policy)

    def step(pairs):
        loop.policy.train()
        value = Loop.step(loop, pairs)
        loop.policy.eval()
        return value

    loop.policy.eval()
    found = loop.check(step=step, steps=3, pairs=PAIRS[:2])
    assert problems(found) == []
    assert "dropout" in [f.code for f in found]
    rates = {m.p for m in loop.policy.modules() if isinstance(m, torch.nn.Dropout)}
    assert 0.05 in rates, "the rate is put back"


def test_kept_scores_that_follow_or_change_with_steps(tiny):
    loop = Loop(tiny)
    hooks = {"reference": None, "reference_scores": live.__get__(loop)}
    found = loop.check(**hooks, steps=2, pairs=PAIRS[:2])
    assert problems(found) == ["reference_is_policy"]
    loop = Loop(tiny)

    def step(pairs):
        value = Loop.step(loop, pairs)
        loop.anchor = frozen_copy(loop.policy)
        return value

    hooks = {"reference": None, "reference_scores": loop.reference_of, "step": step, "steps": 2}
    assert problems(loop.check(**hooks, pairs=PAIRS[:2]))[:1] == ["reference_moves"]


@pytest.mark.parametrize(
    ("rate", "cause"), [(1e-7, "updates_rounded"), (1e-5, "updates_rounded"), (1e-3, None)]
)
def test_a_rate_too_small_for_half_precision_is_a_problem(rate, cause, tiny):
    loop = Loop(tiny)
    loop.policy.bfloat16()
    loop.reference.bfloat16()
    loop.optimizer = torch.optim.AdamW(loop.policy.parameters(), lr=rate, weight_decay=0.0)
    plain = loop.plain_score
    loop.plain_score = lambda model, batch: [x.float() for x in plain(model, batch)]
    codes = problems(loop.check(steps=3, pairs=PAIRS[:2]))
    assert codes[:1] == ([cause] if cause else [])


def ipo_of(target):
    tau = 0.25

    def loss(c, r, rc, rr):
        return (c - r - rc + rr - target(tau)) ** 2

    return loss


def squared_of(c, r, rc, rr, beta=0.1):
    return (beta * (c - r - rc + rr) - 1) ** 2


def hinge_of(c, r, rc, rr, beta=0.1):
    return F.relu(1 - beta * (c - r - rc + rr))


def inverse_of(c, r, rc, rr, beta=0.1):
    return -F.logsigmoid((c - r - rc + rr) / beta)


def smoothed(c, r, rc, rr, beta=0.1, label_smoothing=0.1):
    right, wrong = (F.logsigmoid(sign * beta * (c - r - rc + rr)) for sign in (1, -1))
    return -(1 - label_smoothing) * right - label_smoothing * wrong


def simpo_without(c, r, beta=2.0, gamma=1.0):
    _ = gamma
    return -F.logsigmoid(beta * (c - r))


def not_smoothed(c, r, rc, rr, beta=0.1, label_smoothing=0.1):
    _ = label_smoothing
    return -F.logsigmoid(beta * (c - r - rc + rr))


NAMED = {
    "IPO": (ipo_of(lambda tau: 1 / (2 * tau)), None),
    "IPO read by precedence": (ipo_of(lambda tau: 1 / 2 * tau), "beta_differs"),
    "IPO without its 2": (ipo_of(lambda tau: 1 / tau), "beta_differs"),
    "IPO with tau as the target": (ipo_of(lambda tau: tau), "beta_differs"),
    "a square of beta times the margin": (squared_of, None),
    "a hinge": (hinge_of, None),
    "the inverse of beta": (inverse_of, "beta_differs"),
    "smoothed": (smoothed, None),
    "smoothed by name alone": (not_smoothed, "setting_ignored"),
    "SimPO": (lambda c, r, beta=2.0, gamma=1.0: -F.logsigmoid(beta * (c - r) - gamma), None),
    "SimPO without its gamma": (simpo_without, "setting_ignored"),
}


@pytest.mark.parametrize("name", NAMED)
def test_a_loss_is_held_against_the_numbers_that_it_names(name, tiny):
    loss, cause = NAMED[name]
    found = problems(Loop(tiny).check(loss=loss, step=None, pairs=PAIRS[:2]))
    assert found == ([cause] if cause else [])


# ---------------------------------------------------------------- the seam, and GPT-2's tokenizer
def joined_rows(gap=" ", end=" ", count=lambda tokenizer, p, side: None):
    """A collate that tokenises prompt and response as one text, joined by `gap`."""

    def collate(self, pairs):
        tokens = lambda text: self.tokenizer(text, add_special_tokens=False)["input_ids"]
        built = []
        for side in ("chosen", "rejected"):
            for p in pairs:
                n = len(tokens(p["prompt"]))
                ids = tokens(f"{p['prompt']}{gap}{p[side]}{end}{self.tokenizer.eos_token}")
                built.append((ids, n))
        width = max(len(ids) for ids, _ in built)
        fill = lambda row: row + [0] * (width - len(row))
        return {
            "input_ids": torch.tensor([fill(ids) for ids, _ in built]),
            "attention_mask": torch.tensor([fill([1] * len(ids)) for ids, _ in built]),
            "response_mask": torch.tensor(
                [fill([0] * n + [1] * (len(ids) - n)) for ids, n in built]
            ).bool(),
        }

    return collate


@pytest.mark.parametrize(("gap", "cause"), [(" ", None), ("", "unknown_tokens")])
def test_a_seam_that_became_an_unknown_token_is_named(gap, cause, tiny):
    loop = Loop(tiny)
    loop.batch = joined_rows(gap).__get__(loop)
    found = problems(loop.check(step=None, loss=None, pairs=PAIRS[:3]))
    assert found == ([cause] if cause else [])


def byte_tokenizer(texts, merges=()):
    """Bytes and some merges; unknown, beginning and end are one token, as GPT-2 has it."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = ["<pad>", "<|endoftext|>", *letters, *("".join(m) for m in merges)]
    core = Tokenizer(models.BPE({w: i for i, w in enumerate(words)}, list(merges)))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    core.decoder = decoders.ByteLevel()
    end = "<|endoftext|>"
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token="<pad>",
        eos_token=end,
        bos_token=end,
        unk_token=end,
        clean_up_tokenization_spaces=False,
    )


LETTERS = [
    {"prompt": "is it?", "chosen": "yes it is", "rejected": "no not it"},
    {"prompt": "why?", "chosen": "you know", "rejected": "nothing"},
    {"prompt": "who came?", "chosen": "your aunt", "rejected": "nobody at all"},
]
SEAMS = {
    "as it should be": ((), "", True, None),
    "no end": ((), "", False, "eos_missing"),
    "a token across the seam": ([("?", "y"), ("?", "n")], "", True, "no_space"),
    "merges elsewhere": ([("i", "t"), ("y", "o")], "", True, None),
}


@pytest.mark.parametrize("name", SEAMS)
def test_a_tokenizer_whose_end_is_its_unknown_token_too(name):
    from dpo_from_scratch.world.tiny import new_tiny_model

    merges, gap, ended, cause = SEAMS[name]
    tokenizer = byte_tokenizer(LETTERS, merges)
    loop = Loop((new_tiny_model(tokenizer, layers=1), tokenizer))
    plain = joined_rows(gap, "").__get__(loop)

    def batch(pairs):
        rows = plain(pairs)
        if not ended:
            rows["response_mask"] &= rows["input_ids"] != EOS
        return rows

    loop.batch = batch
    found = problems(loop.check(step=None, loss=None, pairs=LETTERS))
    assert found == ([cause] if cause else [])


def from_masters(loop, rate):
    """Updates of copies in float32, written back to weights in half precision."""
    masters = [p.detach().float().clone().requires_grad_() for p in loop.policy.parameters()]
    loop.optimizer = torch.optim.AdamW(masters, lr=rate)

    def step(pairs):
        value = loop.objective(pairs)
        value.backward()
        for master, p in zip(masters, loop.policy.parameters(), strict=True):
            master.grad, p.grad = p.grad.float(), None
        loop.optimizer.step()
        with torch.no_grad():
            for master, p in zip(masters, loop.policy.parameters(), strict=True):
                p.copy_(master)
        return value.detach()

    return step


def test_copies_in_float32_of_weights_in_half_precision_are_healthy(tiny):
    loop = Loop(tiny)
    loop.policy.bfloat16()
    loop.reference.bfloat16()
    plain = loop.plain_score
    loop.plain_score = lambda model, batch: [x.float() for x in plain(model, batch)]
    assert problems(loop.check(step=from_masters(loop, 1e-5), steps=3, pairs=PAIRS[:2])) == []


@pytest.mark.parametrize("every", [1, 2])
def test_small_rates_hide_no_gradients_that_pile_up(every, tiny):
    """Every second call makes an update, as with accumulation: that is healthy."""
    loop, calls = Loop(tiny, rate=1e-5), []

    def step(pairs):
        calls.append(1)
        value = loop.objective(pairs)
        (value / every).backward()
        if len(calls) % every == 0:
            loop.optimizer.step()
            if every > 1:
                loop.optimizer.zero_grad()
        return value.detach()

    wrong = ["gradients_pile_up"] if every == 1 else []
    assert problems(loop.check(step=step, steps=5, pairs=PAIRS[:2]))[:1] == wrong
