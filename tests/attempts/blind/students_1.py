"""Blind attempts of students at chapters 00, 01, 03 and 04 (written from the student edition alone)."""
import math

import numpy as np
import torch
import torch.nn.functional as F

ATTEMPTS = []


def wrong(exercise, mistake):
    def put(attempt):
        ATTEMPTS.append({"exercise": exercise, "kind": "wrong", "mistake": mistake, "attempt": attempt})
        return attempt
    return put


def right(exercise):
    def put(attempt):
        ATTEMPTS.append({"exercise": exercise, "kind": "right", "mistake": "", "attempt": attempt})
        return attempt
    return put


def sigma(z):
    return 1 / (1 + math.exp(-z))


def loss_of(m):
    return math.log(1 + math.exp(-m))


# ---------------------------------------------------------------- 00.0 and 04.0: the DPO loss
for _ex in ("00.0", "04.0"):
    @wrong(_ex, "forgot the reference: compares the two log-probabilities of the policy only")
    def dpo_loss(chosen, rejected, ref_chosen, ref_rejected, beta):
        return -F.logsigmoid(beta * (chosen - rejected))

    @wrong(_ex, "took the mean over the pairs, as PyTorch losses do")
    def dpo_loss(chosen, rejected, ref_chosen, ref_rejected, beta):
        margin = beta * ((chosen - ref_chosen) - (rejected - ref_rejected))
        return -F.logsigmoid(margin).mean()

    @wrong(_ex, "took the sum over the pairs")
    def dpo_loss(chosen, rejected, ref_chosen, ref_rejected, beta):
        margin = beta * ((chosen - ref_chosen) - (rejected - ref_rejected))
        return -F.logsigmoid(margin).sum()

    @wrong(_ex, "forgot the minus: gives the log of the probability, which training would push down")
    def dpo_loss(chosen, rejected, ref_chosen, ref_rejected, beta):
        return F.logsigmoid(beta * ((chosen - ref_chosen) - (rejected - ref_rejected)))

    @wrong(_ex, "forgot the logarithm: minus the probability of the choice")
    def dpo_loss(chosen, rejected, ref_chosen, ref_rejected, beta):
        return -torch.sigmoid(beta * ((chosen - ref_chosen) - (rejected - ref_rejected)))

    @wrong(_ex, "rejected minus chosen: thinks that the loss should make this difference large")
    def dpo_loss(chosen, rejected, ref_chosen, ref_rejected, beta):
        return -F.logsigmoid(beta * ((rejected - ref_rejected) - (chosen - ref_chosen)))

    @wrong(_ex, "log-ratio the wrong way round: reference minus policy")
    def dpo_loss(chosen, rejected, ref_chosen, ref_rejected, beta):
        return -F.logsigmoid(beta * ((ref_chosen - chosen) - (ref_rejected - rejected)))

    @wrong(_ex, "beta as a weight in front of the loss instead of inside the sigmoid")
    def dpo_loss(chosen, rejected, ref_chosen, ref_rejected, beta):
        return -beta * F.logsigmoid((chosen - ref_chosen) - (rejected - ref_rejected))

    @wrong(_ex, "divided the log-probabilities, since the formula shows a fraction")
    def dpo_loss(chosen, rejected, ref_chosen, ref_rejected, beta):
        return -F.logsigmoid(beta * chosen / ref_chosen - beta * rejected / ref_rejected)

    @wrong(_ex, "took the log of the fraction of log-probabilities, as if they were probabilities")
    def dpo_loss(chosen, rejected, ref_chosen, ref_rejected, beta):
        return -F.logsigmoid(beta * torch.log(chosen / ref_chosen) - beta * torch.log(rejected / ref_rejected))

    @wrong(_ex, "ratio of probabilities without the log: exponentiated the two differences")
    def dpo_loss(chosen, rejected, ref_chosen, ref_rejected, beta):
        return -F.logsigmoid(beta * ((chosen - ref_chosen).exp() - (rejected - ref_rejected).exp()))

    @wrong(_ex, "lost the sign of the last term when opening the brackets")
    def dpo_loss(chosen, rejected, ref_chosen, ref_rejected, beta):
        return -F.logsigmoid(beta * (chosen - ref_chosen - rejected - ref_rejected))

    @wrong(_ex, "beta on the chosen log-ratio only")
    def dpo_loss(chosen, rejected, ref_chosen, ref_rejected, beta):
        return -F.logsigmoid(beta * (chosen - ref_chosen) - (rejected - ref_rejected))

    @wrong(_ex, "divided by beta, as in the exponent r / beta of equation 4")
    def dpo_loss(chosen, rejected, ref_chosen, ref_rejected, beta):
        return -F.logsigmoid(((chosen - ref_chosen) - (rejected - ref_rejected)) / beta)

    @wrong(_ex, "left out beta (has it 'already in the learning rate')")
    def dpo_loss(chosen, rejected, ref_chosen, ref_rejected, beta):
        return -F.logsigmoid((chosen - ref_chosen) - (rejected - ref_rejected))

    @wrong(_ex, "softplus with the wrong sign: log(1 + exp(+margin))")
    def dpo_loss(chosen, rejected, ref_chosen, ref_rejected, beta):
        return F.softplus(beta * ((chosen - ref_chosen) - (rejected - ref_rejected)))

    @wrong(_ex, "one minus the probability instead of minus its log")
    def dpo_loss(chosen, rejected, ref_chosen, ref_rejected, beta):
        return 1 - torch.sigmoid(beta * ((chosen - ref_chosen) - (rejected - ref_rejected)))

    @wrong(_ex, "crossed the references: compares the chosen text with the reference's rejected one")
    def dpo_loss(chosen, rejected, ref_chosen, ref_rejected, beta):
        return -F.logsigmoid(beta * ((chosen - ref_rejected) - (rejected - ref_chosen)))

    @wrong(_ex, "a hinge: zero loss from a margin of one on")
    def dpo_loss(chosen, rejected, ref_chosen, ref_rejected, beta):
        return torch.relu(1 - beta * ((chosen - ref_chosen) - (rejected - ref_rejected)))

    @wrong(_ex, "one sigmoid for each text: sums -log sigma of the two implicit rewards, each on its own")
    def dpo_loss(chosen, rejected, ref_chosen, ref_rejected, beta):
        return -F.logsigmoid(beta * (chosen - ref_chosen)) - F.logsigmoid(-beta * (rejected - ref_rejected))

    @wrong(_ex, "computed the margin without gradient, since 'the reference must not be trained'")
    def dpo_loss(chosen, rejected, ref_chosen, ref_rejected, beta):
        with torch.no_grad():
            margin = beta * ((chosen - ref_chosen) - (rejected - ref_rejected))
        return -F.logsigmoid(margin)

    @wrong(_ex, "gave the implicit-reward margin instead of the loss")
    def dpo_loss(chosen, rejected, ref_chosen, ref_rejected, beta):
        return beta * ((chosen - ref_chosen) - (rejected - ref_rejected))

    @wrong(_ex, "base-2 logarithm, so that a coin flip costs 1")
    def dpo_loss(chosen, rejected, ref_chosen, ref_rejected, beta):
        return -F.logsigmoid(beta * ((chosen - ref_chosen) - (rejected - ref_rejected))) / math.log(2)

    @wrong(_ex, "added a KL penalty, beta times the mean log-ratio, because the objective has one")
    def dpo_loss(chosen, rejected, ref_chosen, ref_rejected, beta):
        a, b = chosen - ref_chosen, rejected - ref_rejected
        return -F.logsigmoid(beta * (a - b)) + beta * (a + b) / 2

    @right(_ex)
    def dpo_loss(chosen, rejected, ref_chosen, ref_rejected, beta):
        chosen_ratio = chosen - ref_chosen
        rejected_ratio = rejected - ref_rejected
        return -F.logsigmoid(beta * (chosen_ratio - rejected_ratio))

    @right(_ex)
    def dpo_loss(chosen, rejected, ref_chosen, ref_rejected, beta):
        policy_gap = chosen - rejected
        ref_gap = ref_chosen - ref_rejected
        return F.softplus(-beta * (policy_gap - ref_gap))

    @right(_ex)
    def dpo_loss(chosen, rejected, ref_chosen, ref_rejected, beta):
        scores = torch.stack([beta * (chosen - ref_chosen), beta * (rejected - ref_rejected)], dim=-1)
        return scores.logsumexp(-1) - scores[..., 0]

    @right(_ex)
    def dpo_loss(chosen, rejected, ref_chosen, ref_rejected, beta):
        margin = beta * chosen - beta * ref_chosen - beta * rejected + beta * ref_rejected
        return F.binary_cross_entropy_with_logits(margin, torch.ones_like(margin), reduction="none")

    @right(_ex)
    def dpo_loss(chosen, rejected, ref_chosen, ref_rejected, beta):
        losses = []
        for c, r, rc, rr in zip(chosen, rejected, ref_chosen, ref_rejected):
            m = beta * ((c - rc) - (r - rr))
            losses.append(torch.logaddexp(torch.zeros_like(m), -m))
        return torch.stack(losses)

    # arguable (see the report): exact on paper, infinite below a margin of about -100
    @right(_ex)
    def dpo_loss(chosen, rejected, ref_chosen, ref_rejected, beta):
        return -torch.log(torch.sigmoid(beta * ((chosen - ref_chosen) - (rejected - ref_rejected))))


# ---------------------------------------------------------------- 00.1
wrong("00.1", "added the rejected log-ratio's size with the wrong sign: margin 0.6 * (2 - 1)")((loss_of(.6), loss_of(-.6)))
wrong("00.1", "forgot beta: margin 3")((loss_of(3), loss_of(-3)))
wrong("00.1", "divided by beta: margin 5")((loss_of(5), loss_of(-5)))
wrong("00.1", "decimal logarithm")((loss_of(1.8) / math.log(10), loss_of(-1.8) / math.log(10)))
wrong("00.1", "base-2 logarithm")((loss_of(1.8) / math.log(2), loss_of(-1.8) / math.log(2)))
wrong("00.1", "gave the probabilities of the choice, not the losses")((sigma(1.8), sigma(-1.8)))
wrong("00.1", "gave log sigma without the minus")((-loss_of(1.8), -loss_of(-1.8)))
wrong("00.1", "the two losses in the wrong order (took the minus sign of the rejected for the margin's)")((1.953, 0.153))
wrong("00.1", "thought that swapped labels turn the sign of the loss")((0.153, -0.153))
wrong("00.1", "thought that the two losses add up to one")((0.153, 0.847))
wrong("00.1", "beta in front of the loss instead of inside the sigmoid")((.6 * loss_of(3), .6 * loss_of(-3)))
wrong("00.1", "read '2 nats likelier' as twice as likely, and '1 nat less' as e times less")((loss_of(.6 * (math.log(2) + 1)), loss_of(-.6 * (math.log(2) + 1))))
wrong("00.1", "gave the margins, not the losses")((1.8, -1.8))
wrong("00.1", "applied beta to the chosen text's log-ratio only: margin 0.6 * 2 + 1")((loss_of(2.2), loss_of(-2.2)))
wrong("00.1", "forgot the rejected text: margin 0.6 * 2, swapped 0.6 * (-1)")((loss_of(1.2), loss_of(-.6)))
wrong("00.1", "swapped labels: gave the loss at the start, ln 2, because the policy 'knows nothing of them'")((0.153, 0.693))
wrong("00.1", "took the gradient's weight sigma(-m) for the loss")((0.142, 0.858))
right("00.1")((0.153, 1.953))
right("00.1")([loss_of(1.8), loss_of(-1.8)])
right("00.1")(tuple(F.softplus(torch.tensor([-1.8, 1.8])).tolist()))
right("00.1")(-F.logsigmoid(torch.tensor([1.8, -1.8])))
right("00.1")(np.float32([0.15298, 1.95298]))
right("00.1")({"right": 0.153, "swapped": 1.953})

# ---------------------------------------------------------------- 00.2 (trained as hint 1 says; KLs of 300 samples)
KL02, KL2 = 0.8143, 0.2207
wrong("00.2", "right numbers, but takes the gradient's factor beta for the reason")((KL02, KL2, "a"))
wrong("00.2", "right numbers, but thinks that the loss has a KL term")((KL02, KL2, "c"))
wrong("00.2", "right numbers, but thinks of AdamW's step only")((KL02, KL2, "d"))
wrong("00.2", "did not train: believes a larger beta pushes farther, and swapped the two distances to fit")((KL2, KL02, "a"))
wrong("00.2", "right reason, distances in the wrong order")((KL2, KL02, "b"))
wrong("00.2", "did not train: AdamW makes both the same")((0.5, 0.5, "d"))
wrong("00.2", "handed in quality(...)['true_reward'] instead of the distance")((1.4676, 0.8446, "b"))
wrong("00.2", "handed in beta times KL, the price paid, instead of the distance")((0.2 * KL02, 2 * KL2, "a"))
wrong("00.2", "handed in quality(...)['objective']")((0.979, 0.712, "b"))
wrong("00.2", "left steps and batch size as in config: 256 steps of 32 (estimated)")((3.6, 0.5, "b"))
wrong("00.2", "trained the chapter's policy on instead of a copy of the reference (estimated)")((2.4, 1.6, "b"))
wrong("00.2", "no fresh copy for the second run: trained the model of beta 0.2 on with beta 2")((KL02, 1.172, "a"))
wrong("00.2", "handed quality the two models the other way round: texts of the reference, KL(ref || policy)")((1.338, 0.2376, "b"))
wrong("00.2", "forgot the batch size: 64 steps of 32, so each pair is read twice")((0.9484, 0.197, "b"))
right("00.2")((KL02, KL2, "b"))
right("00.2")((0.7262, 0.137, "b"))                            # seed 1: the text names no seed
right("00.2")([0.81, 0.22, "b"])
right("00.2")((torch.tensor(KL02), np.float32(KL2), "b"))
right("00.2")({"0.2": 0.814, "2": 0.221, "why": "b"})

# ---------------------------------------------------------------- 01.0
def _token_logps(logits, labels):
    logits, labels = logits[:, :-1], labels[:, 1:]
    return logits.gather(-1, labels.unsqueeze(-1)).squeeze(-1) - logits.logsumexp(-1)


@wrong("01.0", "no shift: the logits at a place are taken for the token at that place")
def sequence_logps(logits, labels, mask):
    picked = logits.log_softmax(-1).gather(-1, labels.unsqueeze(-1)).squeeze(-1)
    return (picked * mask).sum(-1)

@wrong("01.0", "shifted logits and labels, but cut the mask at its end: the mask did not move with the labels")
def sequence_logps(logits, labels, mask):
    return (_token_logps(logits, labels) * mask[:, :-1]).sum(-1)

@wrong("01.0", "mean over the response's tokens instead of the sum")
def sequence_logps(logits, labels, mask):
    m = mask[:, 1:]
    return (_token_logps(logits, labels) * m).sum(-1) / m.sum(-1)

@wrong("01.0", "mean over all places, with zeros where the mask is False")
def sequence_logps(logits, labels, mask):
    return (_token_logps(logits, labels) * mask[:, 1:]).mean(-1)

@wrong("01.0", "summed over the whole batch: one number")
def sequence_logps(logits, labels, mask):
    return (_token_logps(logits, labels) * mask[:, 1:]).sum()

@wrong("01.0", "ignored the mask: scores the prompt and the padding, too")
def sequence_logps(logits, labels, mask):
    return _token_logps(logits, labels).sum(-1)

@wrong("01.0", "mask the wrong way round: True is 'masked out'")
def sequence_logps(logits, labels, mask):
    return _token_logps(logits, labels).masked_fill(mask[:, 1:], 0).sum(-1)

@wrong("01.0", "added up the raw logits: no log-softmax")
def sequence_logps(logits, labels, mask):
    picked = logits[:, :-1].gather(-1, labels[:, 1:].unsqueeze(-1)).squeeze(-1)
    return (picked * mask[:, 1:]).sum(-1)

@wrong("01.0", "added up probabilities instead of log-probabilities")
def sequence_logps(logits, labels, mask):
    p = _token_logps(logits, labels).exp()
    return (p * mask[:, 1:]).sum(-1)

@wrong("01.0", "gave the probability of the response, not its logarithm")
def sequence_logps(logits, labels, mask):
    return (_token_logps(logits, labels) * mask[:, 1:]).sum(-1).exp()

@wrong("01.0", "log of the sum of the probabilities instead of the sum of the logs")
def sequence_logps(logits, labels, mask):
    p = _token_logps(logits, labels).exp()
    return (p * mask[:, 1:]).sum(-1).log()

@wrong("01.0", "shifted the wrong way: place t + 1 is taken to predict token t")
def sequence_logps(logits, labels, mask):
    lp = logits[:, 1:].log_softmax(-1).gather(-1, labels[:, :-1].unsqueeze(-1)).squeeze(-1)
    return (lp * mask[:, :-1]).sum(-1)

@wrong("01.0", "gave the negative log-likelihood, as cross_entropy does")
def sequence_logps(logits, labels, mask):
    nll = F.cross_entropy(logits[:, :-1].transpose(1, 2), labels[:, 1:], reduction="none")
    return (nll * mask[:, 1:]).sum(-1)

@wrong("01.0", "softmax over the places instead of the vocabulary")
def sequence_logps(logits, labels, mask):
    lp = logits[:, :-1].log_softmax(1).gather(-1, labels[:, 1:].unsqueeze(-1)).squeeze(-1)
    return (lp * mask[:, 1:]).sum(-1)

@wrong("01.0", "left the end out: dropped each row's last scored token")
def sequence_logps(logits, labels, mask):
    m = mask[:, 1:].clone()
    for row in m:
        row[row.nonzero()[-1]] = False
    return (_token_logps(logits, labels) * m).sum(-1)

@wrong("01.0", "shifted twice: token_logps shifts already, and the labels were shifted before")
def sequence_logps(logits, labels, mask):
    return (_token_logps(logits[:, :-1], labels[:, 1:]) * mask[:, 2:]).sum(-1)

@wrong("01.0", "and-ed neighbours in the mask, so the first response token is not scored")
def sequence_logps(logits, labels, mask):
    both = mask[:, 1:] & mask[:, :-1]
    return (_token_logps(logits, labels) * both).sum(-1)

@wrong("01.0", "subtracted the logsumexp once for each text, at the end, instead of at each place")
def sequence_logps(logits, labels, mask):
    m = mask[:, 1:]
    picked = logits[:, :-1].gather(-1, labels[:, 1:].unsqueeze(-1)).squeeze(-1)
    return (picked * m).sum(-1) - (logits[:, :-1] * m.unsqueeze(-1)).sum(1).logsumexp(-1)

@right("01.0")
def sequence_logps(logits, labels, mask):
    lp = logits[:, :-1].gather(-1, labels[:, 1:].unsqueeze(-1)).squeeze(-1) - logits[:, :-1].logsumexp(-1)
    return lp.where(mask[:, 1:], torch.zeros_like(lp)).sum(-1)

@right("01.0")
def sequence_logps(logits, labels, mask):
    return (_token_logps(logits, labels) * mask[:, 1:]).sum(-1)

@right("01.0")
def sequence_logps(logits, labels, mask):
    nll = F.cross_entropy(logits[:, :-1].transpose(1, 2), labels[:, 1:], reduction="none")
    return -(nll * mask[:, 1:].to(nll.dtype)).sum(dim=1)

@right("01.0")
def sequence_logps(logits, labels, mask):
    rows = []
    for b in range(labels.shape[0]):
        total = logits.new_zeros(())
        for t in range(1, labels.shape[1]):
            if mask[b, t]:
                total = total + logits[b, t - 1].log_softmax(-1)[labels[b, t]]
        rows.append(total)
    return torch.stack(rows)

@right("01.0")
def sequence_logps(logits, labels, mask):
    lp = logits.log_softmax(-1)
    rows = []
    for b in range(len(labels)):
        places = mask[b].nonzero().squeeze(-1)
        places = places[places > 0]
        rows.append(lp[b, places - 1, labels[b, places]].sum())
    return torch.stack(rows)


# ---------------------------------------------------------------- 01.1 and 01.2
# log-probabilities of all tokens but the first, as the chapter's `token_logps` gave them (run once,
# kept here so that this module imports fast); the response starts at entry 6
from dpo_from_scratch import world as _world

_prompt = "film : how was the plot ?"
_two = ("the plot was good .", "the plot was superb .")
_PROMPT = [-11.422176, -14.183973, -11.385733, -0.495648, -1.71555, -10.821361]
def _t(*response):
    return torch.tensor([*_PROMPT, *response], dtype=torch.float64), 6

_a = _t(-0.524798, -0.750675, -0.153773, -2.970278, -0.362106, -3.183192)
_b = _t(-0.524798, -0.750675, -0.153773, -4.157015, -0.36276, -3.188967)
_s = torch.tensor([-7.944822788238525, -9.137989044189453], dtype=torch.float64)
_na, _nb = (x[n:] for x, n in (_a, _b))                       # with <eos>
wrong("01.1", "left the end out: the probability that a reply begins with the text")((_na[:-1].sum().exp().item(), (_na[:-1].sum() - _nb[:-1].sum()).exp().item()))
wrong("01.1", "handed in the log-probability")((_s[0].item(), (_s[0] - _s[1]).exp().item()))
wrong("01.1", "handed in the difference in nats, not the factor")((_s[0].exp().item(), (_s[0] - _s[1]).item()))
wrong("01.1", "the ratio upside down: how likely the second is, relative to the first")((_s[0].exp().item(), (_s[1] - _s[0]).exp().item()))
wrong("01.1", "divided the log-probabilities")((_s[0].exp().item(), (_s[1] / _s[0]).item()))
wrong("01.1", "mean instead of sum of the token log-probabilities")((_na.mean().exp().item(), (_na.mean() - _nb.mean()).exp().item()))
wrong("01.1", "scored the prompt, too")((_a[0].sum().exp().item(), (_a[0].sum() - _b[0].sum()).exp().item()))
wrong("01.1", "looked only at the one word: probability of 'good' after 'the plot was', and the ratio of the two words")((_na[3].exp().item(), (_na[3] - _nb[3]).exp().item()))
wrong("01.1", "off by one: the first response token is not scored")((_na[1:].sum().exp().item(), (_na[1:].sum() - _nb[1:].sum()).exp().item()))
wrong("01.1", "took exp base 10 of a natural logarithm")((10 ** _s[0].item(), 10 ** (_s[0] - _s[1]).item()))
wrong("01.1", "two probabilities instead of a probability and a factor")(tuple(_s.exp().tolist()))
wrong("01.1", "used the mini world's probabilities, of one sentence with certainty")((lambda m: (math.exp(m[0]), math.exp(m[0] - m[1])))(_world.MINI.log_probs(_prompt, list(_two))))
wrong("01.1", "subtracted the probabilities")((_s[0].exp().item(), (_s[0].exp() - _s[1].exp()).item()))
wrong("01.1", "added the probabilities of the tokens")((_na.exp().sum().item(), (_na.exp().sum() / _nb.exp().sum()).item()))
wrong("01.1", "asked the grammar (world.REVIEWS.log_probs) instead of the model")((0.0003478, 3.250))
right("01.1")((_s[0].exp().item(), (_s[0] - _s[1]).exp().item()))
right("01.1")((0.000355, 3.30))
right("01.1")([math.exp(_s[0]), math.exp(_s[0]) / math.exp(_s[1])])
right("01.1")((_na.exp().prod(), (_na.exp().prod() / _nb.exp().prod())))
right("01.1")(np.float32([math.exp(_s[0]), math.exp(_s[0] - _s[1])]))
right("01.1")({"probability": 3.55e-4, "times rarer": 3.298})

_reply = "the plot was superb ! thank you ."
_all, _n = _t(-0.524798, -0.750675, -0.153773, -4.157015, -1.190182, -4.187507, -1e-05, -7.7e-05, -0.000185)
_slow = _all[_n:]
_first_end = _t(-0.524798, -0.750675, -0.153773, -4.157015, -1.190182, -3.198914)
_rest = _t(-11.367619, -7.4e-05, -9.1e-05, -0.000182)
wrong("01.2", "scored the first part as a whole reply, with its end")((_first_end[0][_first_end[1]:].sum().item(), _slow[5:].sum().item()))
wrong("01.2", "scored the rest as a reply of its own, without the first part before it")((_slow[:5].sum().item(), _rest[0][_rest[1]:].sum().item()))
wrong("01.2", "both parts as replies of their own, with an end each")((_first_end[0][_first_end[1]:].sum().item(), _rest[0][_rest[1]:].sum().item()))
wrong("01.2", "cut before the mark: four tokens in the first part")((_slow[:4].sum().item(), _slow[4:].sum().item()))
wrong("01.2", "off by one the other way: 'thank' is in the first part")((_slow[:6].sum().item(), _slow[6:].sum().item()))
wrong("01.2", "the two terms in the wrong order")((_slow[5:].sum().item(), _slow[:5].sum().item()))
wrong("01.2", "second term is the score of the whole reply (prompt_length not moved)")((_slow[:5].sum().item(), _slow.sum().item()))
wrong("01.2", "means instead of sums")((_slow[:5].mean().item(), _slow[5:].mean().item()))
wrong("01.2", "probabilities, not log-probabilities")((_slow[:5].sum().exp().item(), _slow[5:].sum().exp().item()))
wrong("01.2", "the prompt is scored in the first term")((_all[:_n + 5].sum().item(), _slow[5:].sum().item()))
wrong("01.2", "the sum and the whole score, to show that they agree")((_slow[:5].sum().item() + _slow[5:].sum().item(), _slow.sum().item()))
wrong("01.2", "read y_1 as the first token, as in the chapter's sum over y_t, and the rest as all others")((_slow[0].item(), _slow[1:].sum().item()))
wrong("01.2", "negative log-probabilities (surprise)")((-_slow[:5].sum().item(), -_slow[5:].sum().item()))
wrong("01.2", "base-2 logarithms")((_slow[:5].sum().item() / math.log(2), _slow[5:].sum().item() / math.log(2)))
_whole, _second = -10.964221954345703, -4.187778472900391     # score_examples, as hint 2 says
right("01.2")((_slow[:5].sum().item(), _slow[5:].sum().item()))
right("01.2")((_whole - _second, _second))
right("01.2")([-6.78, -4.19])
right("01.2")((sum(float(v) for v in _slow[:5]), np.float32(_second)))
right("01.2")(torch.stack([_slow[:5].sum(), _slow[5:].sum()]))
right("01.2")({"first part": -6.776, "rest": -4.188})


# ---------------------------------------------------------------- 03.0
def _lse(x):
    return np.logaddexp.reduce(x)

@wrong("03.0", "not normalised: forgot Z")
def gibbs(log_ref, rewards, beta):
    return log_ref + rewards / beta

@wrong("03.0", "subtracted Z itself instead of log Z")
def gibbs(log_ref, rewards, beta):
    w = log_ref + rewards / beta
    return w - np.exp(_lse(w))

@wrong("03.0", "divided the log-weights by log Z, as the formula divides by Z")
def gibbs(log_ref, rewards, beta):
    w = log_ref + rewards / beta
    return w / _lse(w)

@wrong("03.0", "multiplied the reward by beta instead of dividing")
def gibbs(log_ref, rewards, beta):
    w = log_ref + rewards * beta
    return w - _lse(w)

@wrong("03.0", "forgot beta")
def gibbs(log_ref, rewards, beta):
    w = log_ref + rewards
    return w - _lse(w)

@wrong("03.0", "forgot the reference: a softmax of r / beta")
def gibbs(log_ref, rewards, beta):
    return rewards / beta - _lse(rewards / beta)

@wrong("03.0", "Z without the reference: sums e^(r / beta) only")
def gibbs(log_ref, rewards, beta):
    return log_ref + rewards / beta - _lse(rewards / beta)

@wrong("03.0", "gave the probabilities, not their logarithms")
def gibbs(log_ref, rewards, beta):
    w = log_ref + rewards / beta
    return np.exp(w - _lse(w))

@wrong("03.0", "divided the reference's log-probability by beta, too")
def gibbs(log_ref, rewards, beta):
    w = (log_ref + rewards) / beta
    return w - _lse(w)

@wrong("03.0", "sign of the reward: good replies lose")
def gibbs(log_ref, rewards, beta):
    w = log_ref - rewards / beta
    return w - _lse(w)

@wrong("03.0", "multiplied two logarithms where the formula multiplies")
def gibbs(log_ref, rewards, beta):
    w = log_ref * rewards / beta
    return w - _lse(w)

@wrong("03.0", "subtracted beta log Z, the height of the top, instead of log Z")
def gibbs(log_ref, rewards, beta):
    w = log_ref + rewards / beta
    return w - beta * _lse(w)

@wrong("03.0", "mean instead of sum in Z, because Z is an expectation under the reference")
def gibbs(log_ref, rewards, beta):
    w = log_ref + rewards / beta
    return w - (_lse(w) - np.log(len(w)))

@wrong("03.0", "normalised by the largest weight")
def gibbs(log_ref, rewards, beta):
    w = log_ref + rewards / beta
    return w - w.max()

@wrong("03.0", "added the weight e^(r / beta) to the probability instead of multiplying")
def gibbs(log_ref, rewards, beta):
    w = np.logaddexp(log_ref, rewards / beta)
    return w - _lse(w)

@wrong("03.0", "took log_ref for the probabilities pi_ref themselves (used it without exp or log)")
def gibbs(log_ref, rewards, beta):
    weights = np.abs(log_ref) * np.exp(rewards / beta)
    return np.log(weights / weights.sum())

@wrong("03.0", "gave the log-ratio log pi*/pi_ref instead of log pi*")
def gibbs(log_ref, rewards, beta):
    return rewards / beta - _lse(log_ref + rewards / beta)

@wrong("03.0", "one term of the climb's update instead of the solution: what each reply earns, less the mean")
def gibbs(log_ref, rewards, beta):
    return log_ref + (rewards - np.exp(log_ref) @ rewards) / beta

@wrong("03.0", "centred the weights: subtracted the mean of the logs")
def gibbs(log_ref, rewards, beta):
    w = log_ref + rewards / beta
    return w - w.mean()

@right("03.0")
def gibbs(log_ref, rewards, beta):
    w = log_ref + rewards / beta
    return w - np.logaddexp.reduce(w)

@right("03.0")
def gibbs(log_ref, rewards, beta):
    w = log_ref + rewards / beta
    w = w - w.max()
    return w - np.log(np.exp(w).sum())

@right("03.0")
def gibbs(log_ref, rewards, beta):
    return torch.log_softmax(torch.as_tensor(log_ref + rewards / beta), 0).numpy()

@right("03.0")
def gibbs(log_ref, rewards, beta):
    from scipy.special import log_softmax
    return log_softmax(log_ref + np.asarray(rewards) / beta)

@right("03.0")
def gibbs(log_ref, rewards, beta):
    total = -np.inf
    for p, r in zip(log_ref, rewards):
        total = np.logaddexp(total, p + r / beta)
    return np.array([p + r / beta - total for p, r in zip(log_ref, rewards)])


# ---------------------------------------------------------------- 03.1
wrong("03.1", "multiplied the reward by beta")(sigma(.5))
wrong("03.1", "forgot beta")(sigma(1))
wrong("03.1", "gave the odds e^2, not the share")(math.exp(2))
wrong("03.1", "the share of the worse reply")(1 - sigma(2))
wrong("03.1", "gave the weight of the better one, not divided by the sum")(.5 * math.exp(2))
wrong("03.1", "took the weight of the reply with reward 0 for 0")(1.0)
wrong("03.1", "shares in proportion to 0.5 * (1 + r / beta): the exponential left out")(3 / 4)
wrong("03.1", "put r / beta and 1 in place of the exponentials")(2 / 3)
wrong("03.1", "counted the reference's one half for the better reply only")(.5 * math.exp(2) / (.5 * math.exp(2) + 1))
wrong("03.1", "gave the log of the share")(math.log(sigma(2)))
wrong("03.1", "gave how much more the better one gets than the other, not its share")(2 * sigma(2) - 1)
wrong("03.1", "gave per cent")(88.1)
wrong("03.1", "gave Z")(.5 * math.exp(2) + .5)
wrong("03.1", "powers of two instead of e")(4 / 5)
wrong("03.1", "halved the share for the reference, after it had been normalised")(sigma(2) / 2)
wrong("03.1", "gave the factor by which the better reply has grown")(2 * sigma(2))
right("03.1")(0.881)
right("03.1")(1 / (1 + math.exp(-2)))
right("03.1")(torch.tensor([2.0, 0.0]).softmax(0)[0])
right("03.1")(np.float32(.5 * np.exp(1 / .5) / (.5 * np.exp(1 / .5) + .5)))
right("03.1")(torch.sigmoid(torch.tensor(1 / 0.5)).item())


# ---------------------------------------------------------------- 03.2
toy = {
    "start": [("the plot", 0.4, 1.0, "opinion"), ("the cast", 0.6, 0.0, "opinion")],
    "opinion": [("was good .", 0.5, 0.65, "close"), ("was dull .", 0.5, -0.65, "end")],
    "close": [("thank you .", 0.3, 1.0, "end"), ("", 0.7, 0.0, "end")],
}
_ORDER = ("close", "opinion", "start")

def _tilt(beta=.5):
    Z = {"end": 1.0}
    for s in _ORDER:
        Z[s] = sum(p * math.exp(r / beta) * Z[a] for _, p, r, a in toy[s])
    return Z, {s: [(w, p * math.exp(r / beta) * Z[a] / Z[s], r, a) for w, p, r, a in ways] for s, ways in toy.items()}

def _V(grammar, step=lambda p, r, v: p * (r + v)):
    V = {"end": 0.0}
    for s in _ORDER:
        V[s] = sum(step(p, r, V[a]) for _, p, r, a in grammar[s])
    return V["start"]

def _listed(g, s="start"):
    if s == "end":
        return [(1.0, 0.0)]
    return [(p * q, r + t) for _, p, r, a in g[s] for q, t in _listed(g, a)]

_Z, _star = _tilt()
_logZ, _v = math.log(_Z["start"]), _V(_star)
_kl = _v / .5 - _logZ
_P, _R = np.array(_listed(_star)).T
_Q = np.array(_listed(toy))[:, 0]
_local = {s: [(w, p * math.exp(r / .5) / sum(p2 * math.exp(r2 / .5) for _, p2, r2, _ in ways), r, a) for w, p, r, a in ways] for s, ways in toy.items()}
_v_ref, _v_local = _V(toy), _V(_local)
wrong("03.2", "used the reference's probabilities (toy) instead of the optimum's")((_v_ref, _v_ref / .5 - _logZ))
wrong("03.2", "reference's mean reward, and the KL as a positive number")((_v_ref, abs(_v_ref / .5 - _logZ)))
wrong("03.2", "tilted each step by its own reward only, without Z(s') / Z(s)")((_v_local, _v_local / .5 - _logZ))
wrong("03.2", "took beta log Z for V, so the KL is zero")((.5 * _logZ, 0.0))
_x = _V(_star, lambda p, r, v: p * r + v)
wrong("03.2", "left the probability off the next state's V")((_x, _x / .5 - _logZ))
wrong("03.2", "forgot to divide by beta at the end: handed in beta KL")((_v, _v - .5 * _logZ))
wrong("03.2", "forgot beta in front of log Z")((_v, (_v - _logZ) / .5))
wrong("03.2", "wrong sign: V + beta log Z")((_v, (_v + .5 * _logZ) / .5))
wrong("03.2", "KL of the reference from the optimum")((_v, float(_Q @ np.log(_Q / _P))))
wrong("03.2", "KL in bits")((_v, _kl / math.log(2)))
wrong("03.2", "multiplied by beta where one divides: KL = beta (V - beta log Z)")((_v, .5 * (_v - .5 * _logZ)))
_Z1, _star1 = _tilt(1.0)
wrong("03.2", "beta = 1")((_V(_star1), _V(_star1) - math.log(_Z1["start"])))
_Z6, _star6 = _tilt(.6)
wrong("03.2", "beta = 0.6, as in other chapters")((_V(_star6), _V(_star6) / .6 - math.log(_Z6["start"])))
_best = float(_R.max())
wrong("03.2", "takes the best way on in each state instead of the mean")((_best, _best / .5 - _logZ))
wrong("03.2", "KL is log Z")((_v, _logZ))
wrong("03.2", "used log10 of Z")((_v, _v / .5 - math.log10(_Z["start"])))
wrong("03.2", "KL first, then V")((_kl, _v))
wrong("03.2", "V without the reward of the closing (recursion stopped at 'opinion')")((lambda v: (v, v / .5 - _logZ))(sum(p * (r + sum(p2 * r2 for _, p2, r2, _ in _star["opinion"])) for _, p, r, _ in _star["start"])))
_x = _V(toy, lambda p, r, v: p * math.exp(r / .5) * (r + v))
wrong("03.2", "weighted by p e^(r/beta) without dividing by Z(s)")((_x, _x / .5 - _logZ))
_x = float(np.mean(_R))
wrong("03.2", "plain mean over the six listed replies")((_x, _x / .5 - _logZ))
right("03.2")((_v, _kl))
right("03.2")((2.19, 1.41))
right("03.2")([float(_P @ _R), float(_P @ np.log(_P / _Q))])
right("03.2")(np.float32([_v, _kl]))
right("03.2")({"V": 2.190, "KL": 1.409})
right("03.2")(torch.tensor([_v, (_v - .5 * _logZ) / .5], dtype=torch.float64))


# ---------------------------------------------------------------- 03.3
@wrong("03.3", "beta times the number: 'the price is paid twice'")
def attempt_3(beta, times):
    return beta * times

@wrong("03.3", "beta to the power of the number")
def attempt_3(beta, times):
    return beta ** times

@wrong("03.3", "halves each time: beta / 2^(times - 1)")
def attempt_3(beta, times):
    return beta / 2 ** (times - 1)

@wrong("03.3", "counts the extra optimisations: beta / (times + 1)")
def attempt_3(beta, times):
    return beta / (times + 1)

@wrong("03.3", "always half: the case of two times only")
def attempt_3(beta, times):
    return beta / 2

@wrong("03.3", "the optimum of the optimum is the optimum: beta stays")
def attempt_3(beta, times):
    return beta

@wrong("03.3", "gave the factor of the reward in the exponent, 1 / beta")
def attempt_3(beta, times):
    return times / beta

@wrong("03.3", "distances add like random steps: square root of the number")
def attempt_3(beta, times):
    return beta / times ** 0.5

@wrong("03.3", "KL grows with 1 / beta squared, so divides by the square of the number")
def attempt_3(beta, times):
    return beta / times ** 2

@wrong("03.3", "thinks that a penalty against each earlier reference adds up: 1 + 2 + ... + times")
def attempt_3(beta, times):
    return beta / (times * (times + 1) / 2)

@wrong("03.3", "beta / 2^times: halved already the first time")
def attempt_3(beta, times):
    return beta / 2 ** times

@wrong("03.3", "gave the number of times by which beta shrinks, not beta")
def attempt_3(beta, times):
    return times

@wrong("03.3", "the limit: after several optimisations the best reply always, so beta 0")
def attempt_3(beta, times):
    return beta if times == 1 else 0.0

@right("03.3")
def attempt_3(beta, times):
    return beta / times

@right("03.3")
def attempt_3(beta, times):
    exponent = 0.0
    for _ in range(times):
        exponent += 1 / beta
    return 1 / exponent

@right("03.3")
def attempt_3(beta, times):
    rng = np.random.default_rng(0)
    r, log_ref = rng.normal(size=50), np.full(50, -np.log(50))
    log_p = log_ref
    for _ in range(times):                             # the optimum becomes the reference
        log_p = log_p + r / beta
        log_p = log_p - np.logaddexp.reduce(log_p)
    return 1 / np.polyfit(r, log_p - log_ref, 1)[0]    # the slope of the line is 1 / beta

@right("03.3")
def attempt_3(beta, times):
    return np.float32(beta) / np.float32(times)

@right("03.3")
def attempt_3(beta, times):
    return torch.tensor(beta) / times


# ---------------------------------------------------------------- 03.4
def _kls():
    from dpo_from_scratch import exact
    replies = _world.MINI.replies(_prompt)
    rewards = _world.rewards(_prompt, replies)
    log_ref = _world.MINI.log_probs(_prompt, replies)
    pol = {b: exact.gibbs(log_ref, rewards, b).log_probs for b in (.6, .5, .15)}
    kl = lambda p, q: float(np.sum(np.exp(p) * (p - q)))
    return replies, rewards, log_ref, {b: (kl(p, log_ref), kl(log_ref, p), float(np.mean(np.abs(p - log_ref)))) for b, p in pol.items()}

_replies, _rewards, _log_ref, _k = _kls()
_f1, _f2 = _k[.15][0] / _k[.5][0], _k[.15][1] / _k[.5][1]
wrong("03.4", "right numbers, but believes that the optimum writes what the reference can't")((_f1, _f2, "a"))
wrong("03.4", "right numbers, but takes the growth of all log-ratios, which both share, for the reason")((_f1, _f2, "c"))
wrong("03.4", "right numbers, but thinks that one mean is over a list and the other over samples")((_f1, _f2, "d"))
wrong("03.4", "the two KLs mixed up: took KL(ref || pi) for the first")((_f2, _f1, "b"))
wrong("03.4", "mixed up, and so thinks the optimum writes what the reference can't")((_f2, _f1, "a"))
wrong("03.4", "differences instead of ratios: by how much each grows")((_k[.15][0] - _k[.5][0], _k[.15][1] - _k[.5][1], "b"))
wrong("03.4", "the KLs at 0.15 themselves")((_k[.15][0], _k[.15][1], "b"))
wrong("03.4", "the ratio upside down: 0.5 over 0.15")((1 / _f1, 1 / _f2, "b"))
wrong("03.4", "second over first KL, at each beta")((_k[.5][1] / _k[.5][0], _k[.15][1] / _k[.15][0], "b"))
wrong("03.4", "not computed: believes that KL grows like 1 / beta squared, both alike")(((.5 / .15) ** 2, (.5 / .15) ** 2, "c"))
wrong("03.4", "not computed: both grow like 1 / beta")((.5 / .15, .5 / .15, "c"))
wrong("03.4", "plain mean of the log-ratios over the list, not weighted with a policy")((_k[.15][2] / _k[.5][2], _k[.15][2] / _k[.5][2], "c"))
_full = {b: _world.REVIEWS.policy(_prompt, b) for b in (.5, .15)}
_mr = _world.REVIEWS.policy(_prompt).mean_reward
wrong("03.4", "the full world instead of the mini world")((_full[.15].kl / _full[.5].kl, (_full[.15].log_Z - _mr / .15) / (_full[.5].log_Z - _mr / .5), "b"))
wrong("03.4", "the same policy in both, only the arguments of one beta: KLs at 0.5")((_k[.5][0], _k[.5][1], "b"))
wrong("03.4", "started from beta 0.6 instead of 0.5")((_k[.15][0] / _k[.6][0], _k[.15][1] / _k[.6][1], "b"))
right("03.4")((_f1, _f2, "b"))
right("03.4")([3.18, 6.24, "b"])
right("03.4")((np.float32(_f1), np.float32(_f2), "b"))
right("03.4")({"pi, ref": 3.183, "ref, pi": 6.240, "why": "b"})
right("03.4")((torch.tensor(_f1), torch.tensor(_f2), "(b)"))


# ---------------------------------------------------------------- 04.1
def _four_one(beta=.5, ref=(.5, .3, .2), r=(1, 2, 0), weight=None):
    ref, r = np.array(ref), np.array(r, float)
    w = ref * np.exp(r / beta) if weight is None else weight(ref, r)
    Z = w.sum()
    imp = beta * np.log(w / Z / ref)
    return float(Z), float(w[1] / Z), float(imp[0]), float(imp[1]), float(np.log1p(np.exp(imp[0] - imp[1])))

_t = _four_one()
_Z1, _p2, _i1, _i2, _l = _t
_lz = math.log(_Z1)
wrong("04.1", "e^(beta r) instead of e^(r / beta) throughout")(_four_one(weight=lambda q, r: q * np.exp(.5 * r)))
wrong("04.1", "forgot beta in the exponent")(_four_one(weight=lambda q, r: q * np.exp(r)))
wrong("04.1", "implicit rewards without beta: the log-ratios")((_Z1, _p2, _i1 / .5, _i2 / .5, _l))
wrong("04.1", "log-ratios as implicit rewards, and the loss from them")((_Z1, _p2, _i1 / .5, _i2 / .5, loss_of((_i2 - _i1) / .5)))
wrong("04.1", "implicit rewards are the true rewards")((_Z1, _p2, 1.0, 2.0, _l))
wrong("04.1", "loss of the pair the wrong way round: first over second")((_Z1, _p2, _i1, _i2, loss_of(-1)))
wrong("04.1", "Z and optimum without the reference")((lambda w: (w.sum(), w[1] / w.sum(), 1 - .5 * math.log(w.sum()), 2 - .5 * math.log(w.sum()), _l))(np.exp(np.array([2., 4., 0.]))))
wrong("04.1", "beta a second time in the loss: the margin is beta times the difference of implicit rewards")((_Z1, _p2, _i1, _i2, loss_of(.5)))
wrong("04.1", "added beta log Z instead of subtracting it")((_Z1, _p2, 1 + .5 * _lz, 2 + .5 * _lz, _l))
wrong("04.1", "subtracted log Z without beta")((_Z1, _p2, 1 - _lz, 2 - _lz, _l))
wrong("04.1", "probability of the second reply not divided by Z")((_Z1, .3 * math.exp(4), _i1, _i2, _l))
wrong("04.1", "gave the first reply's probability")((_Z1, .5 * math.exp(2) / _Z1, _i1, _i2, _l))
wrong("04.1", "log pi* instead of the ratio to the reference: implicit reward beta log pi*")((_Z1, _p2, .5 * math.log(.5 * math.exp(2) / _Z1), .5 * math.log(_p2), loss_of(.5 * math.log(_p2) - .5 * math.log(.5 * math.exp(2) / _Z1))))
wrong("04.1", "log Z in the place of Z")((_lz, _p2, _i1, _i2, _l))
wrong("04.1", "loss is minus the log of the second reply's probability")((_Z1, _p2, _i1, _i2, -math.log(_p2)))
wrong("04.1", "probability of the choice in the place of the loss")((_Z1, _p2, _i1, _i2, sigma(1)))
wrong("04.1", "the log-ratio upside down: reference over optimum")((_Z1, _p2, -_i1, -_i2, loss_of(-1)))
wrong("04.1", "forgot that e^0 = 1: left the third reply out of Z")((lambda Z: (Z, .3 * math.exp(4) / Z, 1 - .5 * math.log(Z), 2 - .5 * math.log(Z), _l))(.5 * math.exp(2) + .3 * math.exp(4)))
wrong("04.1", "decimal logarithms")((_Z1, _p2, _i1 / math.log(10), _i2 / math.log(10), _l / math.log(10)))
wrong("04.1", "ratio of probabilities without the log: beta pi* / pi_ref")((lambda a, b: (_Z1, _p2, a, b, loss_of(b - a)))(.5 * math.exp(2) / _Z1, .5 * math.exp(4) / _Z1))
right("04.1")(_t)
right("04.1")([round(x, 3) for x in _t])
right("04.1")((20.3, 0.808, -0.505, 0.495, 0.313))

def _torch_41():
    q, r = torch.tensor([.5, .3, .2]).log(), torch.tensor([1., 2., 0.])
    lp = (q + r / .5).log_softmax(0)
    imp = .5 * (lp - q)
    return ((q + 2 * r).logsumexp(0).exp(), lp[1].exp(), imp[0], imp[1], -F.logsigmoid(imp[1] - imp[0]))

right("04.1")(_torch_41())
right("04.1")(np.float32(_t))
right("04.1")(dict(Z=_t[0], pi_second=_t[1], implicit_first=_t[2], implicit_second=_t[3], loss=_t[4]))

# ---------------------------------------------------------------- 04.2
_m = math.log(9)
wrong("04.2", "sign: solved sigma(m) = 0.1")((-_m, -_m / .6, -_m / .1))
wrong("04.2", "odds of 10 to 1 for a probability of 0.1: log 10")((math.log(10), math.log(10) / .6, math.log(10) / .1))
wrong("04.2", "multiplied by beta instead of dividing")((_m, .6 * _m, .1 * _m))
wrong("04.2", "decimal logarithm of 9")((math.log10(9), math.log10(9) / .6, math.log10(9) / .1))
wrong("04.2", "the two nats in the wrong order")((_m, _m / .1, _m / .6))
wrong("04.2", "took the loss for the weight: -log sigma(m) = 0.1")((lambda m: (m, m / .6, m / .1))(-math.log(math.exp(.1) - 1)))
wrong("04.2", "0.1 of the weight at the start, which is one half: sigma(-m) = 0.05")((math.log(19), math.log(19) / .6, math.log(19) / .1))
wrong("04.2", "beta does not matter: the nats are the margin")((_m, _m, _m))
wrong("04.2", "gave the odds 9 for the margin")((9.0, 9 / .6, 9 / .1))
wrong("04.2", "halved the nats: each of the two log-ratios moves by half")((_m, _m / .6 / 2, _m / .1 / 2))
wrong("04.2", "weight is the probability of the label: sigma(m) = 0.9 and log 0.9")((math.log(.9), math.log(.9) / .6, math.log(.9) / .1))
wrong("04.2", "margin 0.1: took the weight for the margin")((.1, .1 / .6, 1.0))
wrong("04.2", "weight is sigma'(m) = sigma(m) sigma(-m) = 0.1")((lambda m: (m, m / .6, m / .1))(math.log((1 + math.sqrt(.6)) / (1 - math.sqrt(.6)))))
wrong("04.2", "took the weight for 1 - m")((.9, 1.5, 9.0))
wrong("04.2", "base-2 logarithm of 9")((math.log2(9), math.log2(9) / .6, math.log2(9) / .1))
right("04.2")((2.197, 3.662, 21.972))
right("04.2")([math.log(9), math.log(9) / .6, math.log(9) / .1])
right("04.2")(-torch.logit(torch.tensor(.1)) / torch.tensor([1., .6, .1]))
right("04.2")((2.2, 3.66, 22.0))
right("04.2")({"margin": np.log(.9 / .1), "0.6": np.log(9) / .6, "0.1": np.log(9) / .1})


# ---------------------------------------------------------------- 04.3
@wrong("04.3", "believes that the minimiser is pi* all the same: the reference in it")
def attempt_3(log_ref, reward, beta):
    w = log_ref + reward / beta
    return w - _lse(w)

@wrong("04.3", "without a reference beta has no meaning: a softmax of the reward")
def attempt_3(log_ref, reward, beta):
    return reward - _lse(reward)

@wrong("04.3", "nothing holds the policy back: always the best reply")
def attempt_3(log_ref, reward, beta):
    out = np.full(len(reward), -np.inf)
    out[np.argmax(reward)] = 0.0
    return out

@wrong("04.3", "multiplied the reward by beta")
def attempt_3(log_ref, reward, beta):
    return reward * beta - _lse(reward * beta)

@wrong("04.3", "not normalised")
def attempt_3(log_ref, reward, beta):
    return reward / beta

@wrong("04.3", "the reference itself: without reference terms there is nothing to leave it for")
def attempt_3(log_ref, reward, beta):
    return log_ref

@wrong("04.3", "uniform: the reference is uniform, and so is its optimum")
def attempt_3(log_ref, reward, beta):
    return np.full(len(reward), -np.log(len(reward)))

@wrong("04.3", "divided the reference out of the normalised pi* without normalising again")
def attempt_3(log_ref, reward, beta):
    w = log_ref + reward / beta
    return w - _lse(w) - log_ref

@wrong("04.3", "the reference counts twice: dropping a subtraction adds it")
def attempt_3(log_ref, reward, beta):
    w = 2 * log_ref + reward / beta
    return w - _lse(w)

@wrong("04.3", "the policy makes up for the missing reference by its inverse")
def attempt_3(log_ref, reward, beta):
    w = reward / beta - log_ref
    return w - _lse(w)

@wrong("04.3", "gave probabilities, not their logarithms")
def attempt_3(log_ref, reward, beta):
    w = reward / beta
    return np.exp(w - _lse(w))

@wrong("04.3", "the sign of the reward")
def attempt_3(log_ref, reward, beta):
    return -reward / beta - _lse(-reward / beta)

@wrong("04.3", "normalised with the number of replies, as if Z were that of the uniform reference")
def attempt_3(log_ref, reward, beta):
    return reward / beta - np.log(len(reward))

@wrong("04.3", "Z of the reference's optimum: divides by a mean under the reference")
def attempt_3(log_ref, reward, beta):
    u = -np.log(len(reward))
    return u + reward / beta - _lse(log_ref + reward / beta)

@wrong("04.3", "beta on the reference, not on the reward: pi_ref^(1/beta) times e^r")
def attempt_3(log_ref, reward, beta):
    w = reward + log_ref / beta
    return w - _lse(w)

@wrong("04.3", "gave the implicit reward of the new policy: beta times its log-probability")
def attempt_3(log_ref, reward, beta):
    w = reward / beta
    return beta * (w - _lse(w))

@right("04.3")
def attempt_3(log_ref, reward, beta):
    return reward / beta - np.logaddexp.reduce(reward / beta)

@right("04.3")
def attempt_3(log_ref, reward, beta):
    from dpo_from_scratch import exact
    uniform = np.full(len(reward), -np.log(len(reward)))
    return exact.gibbs(uniform, reward, beta).log_probs

@right("04.3")
def attempt_3(log_ref, reward, beta):
    return torch.log_softmax(torch.as_tensor(reward) / beta, 0)

@right("04.3")
def attempt_3(log_ref, reward, beta):
    r = np.array(reward, dtype=np.float64) / beta
    p = np.exp(r - r.max())
    return np.log(p) - np.log(p.sum())

@right("04.3")
def attempt_3(log_ref, reward, beta):
    total = -math.inf
    for r in reward:
        total = np.logaddexp(total, r / beta)
    return np.array([r / beta - total for r in reward])

@right("04.3")
def attempt_3(log_ref, reward, beta):
    w = log_ref + reward / beta          # pi* ...
    w = w - log_ref                      # ... with the reference divided out
    return w - np.logaddexp.reduce(w)


# ---------------------------------------------------------------- 04.4
@wrong("04.4", "forgot beta: took the log-ratios for the scores")
def attempt_4(log_ratios, beta):
    return sum(log_ratios[k:].logsumexp(0) - log_ratios[k] for k in range(len(log_ratios)))

@wrong("04.4", "worst first: the ranking read backwards")
def attempt_4(log_ratios, beta):
    s = (beta * log_ratios).flip(0)
    return sum(s[k:].logsumexp(0) - s[k] for k in range(len(s)))

@wrong("04.4", "all replies stay in every draw: nothing is taken out")
def attempt_4(log_ratios, beta):
    s = beta * log_ratios
    return sum(s.logsumexp(0) - s[k] for k in range(len(s)))

@wrong("04.4", "only the first place: the best against all")
def attempt_4(log_ratios, beta):
    s = beta * log_ratios
    return s.logsumexp(0) - s[0]

@wrong("04.4", "neighbours only: a DPO loss for each reply and the next one")
def attempt_4(log_ratios, beta):
    s = beta * log_ratios
    return -F.logsigmoid(s[:-1] - s[1:]).sum()

@wrong("04.4", "all pairs of the ranking, summed")
def attempt_4(log_ratios, beta):
    s = beta * log_ratios
    return sum(-F.logsigmoid(s[i] - s[j]) for i in range(len(s)) for j in range(i + 1, len(s)))

@wrong("04.4", "all pairs of the ranking, their mean")
def attempt_4(log_ratios, beta):
    s = beta * log_ratios
    K = len(s)
    return sum(-F.logsigmoid(s[i] - s[j]) for i in range(K) for j in range(i + 1, K)) / (K * (K - 1) / 2)

@wrong("04.4", "the mean over the places instead of the sum")
def attempt_4(log_ratios, beta):
    s = beta * log_ratios
    return sum(s[k:].logsumexp(0) - s[k] for k in range(len(s))) / len(s)

@wrong("04.4", "mean over the K - 1 places that are open")
def attempt_4(log_ratios, beta):
    s = beta * log_ratios
    return sum(s[k:].logsumexp(0) - s[k] for k in range(len(s) - 1)) / (len(s) - 1)

@wrong("04.4", "forgot the minus: the log-probability")
def attempt_4(log_ratios, beta):
    s = beta * log_ratios
    return sum(s[k] - s[k:].logsumexp(0) for k in range(len(s)))

@wrong("04.4", "gave the probability of the ranking")
def attempt_4(log_ratios, beta):
    s = beta * log_ratios
    return sum(s[k] - s[k:].logsumexp(0) for k in range(len(s))).exp()

@wrong("04.4", "the denominator without the reply itself: odds instead of probabilities")
def attempt_4(log_ratios, beta):
    s = beta * log_ratios
    return sum(s[k + 1:].logsumexp(0) - s[k] for k in range(len(s) - 1))

@wrong("04.4", "beta in front of the loss")
def attempt_4(log_ratios, beta):
    s = log_ratios
    return beta * sum(s[k:].logsumexp(0) - s[k] for k in range(len(s)))

@wrong("04.4", "divided by beta")
def attempt_4(log_ratios, beta):
    s = log_ratios / beta
    return sum(s[k:].logsumexp(0) - s[k] for k in range(len(s)))

@wrong("04.4", "sums over those already placed (j <= k) instead of those that are left")
def attempt_4(log_ratios, beta):
    s = beta * log_ratios
    return sum(s[: k + 1].logsumexp(0) - s[k] for k in range(len(s)))

@wrong("04.4", "DPO of the best against the worst")
def attempt_4(log_ratios, beta):
    return -F.logsigmoid(beta * (log_ratios[0] - log_ratios[-1]))

@wrong("04.4", "the best against each other one, summed")
def attempt_4(log_ratios, beta):
    return -F.logsigmoid(beta * (log_ratios[0] - log_ratios[1:])).sum()

@wrong("04.4", "stopped one place too early: the last choice, between two, left out")
def attempt_4(log_ratios, beta):
    s = beta * log_ratios
    return sum(s[k:].logsumexp(0) - s[k] for k in range(max(1, len(s) - 2)))

@wrong("04.4", "one loss for each place, not their sum")
def attempt_4(log_ratios, beta):
    s = beta * log_ratios
    return torch.stack([s[k:].logsumexp(0) - s[k] for k in range(len(s))])

@right("04.4")
def attempt_4(log_ratios, beta):
    s = beta * log_ratios
    return sum(s[k:].logsumexp(0) - s[k] for k in range(len(s)))

@right("04.4")
def attempt_4(log_ratios, beta):
    s = beta * log_ratios
    return (s.flip(0).logcumsumexp(0).flip(0) - s).sum()

@right("04.4")
def attempt_4(log_ratios, beta):
    s = beta * log_ratios
    total = 0.0
    while len(s) > 1:
        total = total - s.log_softmax(0)[0]
        s = s[1:]
    return total

@right("04.4")
def attempt_4(log_ratios, beta):
    w = torch.exp(beta * log_ratios.double())
    p = 1.0
    for k in range(len(w)):
        p = p * w[k] / w[k:].sum()
    return -torch.log(p)

@right("04.4")
def attempt_4(log_ratios, beta):
    s = beta * np.asarray(log_ratios, dtype=float)
    return float(sum(np.logaddexp.reduce(s[k:]) - s[k] for k in range(len(s))))

@right("04.4")
def attempt_4(log_ratios, beta):
    K = len(log_ratios)
    s = (beta * log_ratios).repeat(K, 1).masked_fill(torch.ones(K, K).tril(-1).bool(), -torch.inf)
    return F.cross_entropy(s, torch.arange(K), reduction="sum")
