"""Right attempts of a student, written from the student edition alone."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from scipy.optimize import brentq
from scipy.special import expit, log_softmax, softmax

from dpo_from_scratch import exact, world
from dpo_from_scratch.doctor.curves import TRL_NAMES

ATTEMPTS = []


def value(exercise, attempt):
    ATTEMPTS.append({"exercise": exercise, "kind": "right", "mistake": "", "attempt": attempt})


def right(exercise):
    def note(function):
        value(exercise, function)
        return function

    return note


# ---------------------------------------------------------------- 00
value("00.1", (0.153, 1.953))  # by calculator: log(1 + e^-1.8), log(1 + e^1.8)
_m = torch.tensor(0.6 * (2 - (-1)))
value("00.1", [-F.logsigmoid(_m).item(), -F.logsigmoid(-_m).item()])  # float32, a list
value("00.1", tuple(np.logaddexp(0, [-1.8, 1.8])))  # NumPy numbers
value("00.1", torch.stack([F.softplus(-_m), F.softplus(_m)]))  # a tensor of two

value(
    "00.2", (0.8142842054367065, 0.220745898882548, "b")
)  # trained as hint 1 says, quality(...)["kl"]
value("00.2", [0.814, 0.221, "b"])  # the same, rounded, a list
value("00.2", (np.float64(0.81), np.float64(0.22), "b"))  # two digits

# ---------------------------------------------------------------- 01
value("01.1", (0.00035449270579568327, 3.2975054420059005))  # score_examples, .double(), exp
value("01.1", (3.54e-4, 3.30))  # rounded
value(
    "01.1", [math.exp(-7.9448), math.exp(1.1932)]
)  # from log-probabilities noted to four decimals


# ---------------------------------------------------------------- 02
@right("02.1")
def agreeing(labels):
    n = 0
    for row in labels:
        if world.reward(row["prompt"], row["chosen"]) > world.reward(
            row["prompt"], row["rejected"]
        ):
            n += 1
    return n


@right("02.1")
def agreeing_sum(labels):
    gap = lambda r: (
        world.reward(r["prompt"], r["chosen"]) - world.reward(r["prompt"], r["rejected"])
    )
    return sum(gap(r) > 0 for r in labels)


@right("02.1")
def agreeing_numpy(labels):
    both = np.array(
        [world.rewards(r["prompt"], [r["chosen"], r["rejected"]]) for r in labels]
    ).reshape(-1, 2)
    return int(np.count_nonzero(both[:, 0] > both[:, 1]))


def _enough():
    ways = []
    for winner in range(5):
        for loser in range(winner):
            table = np.triu(np.ones((5, 5)), 1)
            table[winner, loser] += 1
            try:
                exact.fit_bradley_terry(table)
            except ValueError:
                continue
            ways.append((winner, loser))
    return ways


value("02.2", [(4, 0)])  # by thinking: only the last over the first ties all into one circle
value("02.2", [[4, 0]])  # a list for the tuple
value("02.2", _enough())  # by the fit, all ten
value("02.2", np.array([[4, 0]]))  # as an array

value("02.3", (0.635, 0.569))
value("02.3", (0.6351704213442424, 0.5694451960428428))  # exact.ceiling of 0.2 + 0.6 P; log-odds


def _careless():
    soup, eps = "restaurant : how was the soup ?", 0.2
    replies = world.MINI.replies(soup)
    p = np.exp(world.MINI.log_probs(soup, replies))
    P = exact.preferences(world.rewards(soup, replies))
    best, _ = exact.ceiling(p, (1 - eps) * P + eps * (1 - P))
    q = 0.8 * expit(1) + 0.2 * (1 - expit(1))
    return [best, exact.fit_bradley_terry([[0, q], [1 - q, 0]]).scores @ [1, -1]]


value("02.3", _careless())  # the second by the package's fit

# ---------------------------------------------------------------- 03
value("03.1", 0.881)
value("03.1", 1 / (1 + math.exp(-2)))
value("03.1", torch.sigmoid(torch.tensor(1 / 0.5)))
value(
    "03.1", float(np.exp(exact.gibbs(np.log([0.5, 0.5]), np.array([1.0, 0.0]), 0.5).log_probs[0]))
)

value("03.2", (2.19, 1.41))
value("03.2", (2.1901023810578506, 1.4092172336064928))  # recursion for V; (V - beta log Z) / beta


def _six():
    """From the six listed replies."""
    p = np.array([0.4, 0.6])[:, None] * np.array([0.5 * 0.3, 0.5 * 0.7, 0.5])
    r = np.array([1.0, 0.0])[:, None] + np.array([1.65, 0.65, -0.65])
    w = p * np.exp(r / 0.5)
    star = w / w.sum()
    return [(star * r).sum(), (star * np.log(star / p)).sum()]


value("03.2", _six())
value("03.2", torch.tensor(_six()))  # a float32 tensor


@right("03.3")
def over_times(beta, times):
    return beta / times


@right("03.3")
def by_precisions(beta, times):
    total = 0.0
    for _ in range(times):
        total += 1 / beta  # rewards over beta add up in the exponent
    return 1 / total


@right("03.3")
def by_trying(beta, times):
    """Optimises a small example again and again, and reads the single beta off it."""
    start, r = np.log(np.array([0.5, 0.3, 0.2])), np.array([0.0, 0.1, 0.3])
    now = start
    for _ in range(times):
        now = exact.gibbs(now, r, beta).log_probs
    rho = now - start
    return np.float64((r[2] - r[0]) / (rho[2] - rho[0]))


# ---------------------------------------------------------------- 04
value("04.1", (20.27, 0.808, -0.505, 0.495, 0.313))
_ref, _r = np.array([0.5, 0.3, 0.2]), np.array([1.0, 2.0, 0.0])
_Z = (_ref * np.exp(_r / 0.5)).sum()
_star = _ref * np.exp(_r / 0.5) / _Z
_imp = 0.5 * np.log(_star / _ref)
value("04.1", [_Z, _star[1], _imp[0], _imp[1], -np.log(expit(_imp[1] - _imp[0]))])
_tref = torch.tensor([0.5, 0.3, 0.2])
_tlog = _tref.log() + torch.tensor([1.0, 2.0, 0.0]) / 0.5
_tz = _tlog.logsumexp(0)
_ti = 0.5 * (_tlog - _tz - _tref.log())
value(
    "04.1",
    (
        _tz.exp().item(),
        (_tlog - _tz).exp()[1].item(),
        _ti[0].item(),
        _ti[1].item(),
        -F.logsigmoid(torch.tensor(1.0)).item(),
    ),
)  # PyTorch, float32
value("04.1", np.array([20.274, 0.8079, -0.5047, 0.4953, 0.3133]))

value("04.2", (2.197, 3.662, 21.97))
value("04.2", [math.log(9), math.log(9) / 0.6, math.log(9) / 0.1])
_m9 = brentq(lambda m: expit(-m) - 0.1, 0, 10)
value("04.2", _m9 / np.array([1, 0.6, 0.1]))  # found by a root finder

# ---------------------------------------------------------------- 05
value("05.1", (2.85, 10.5, 2.09))
_grammar = world.REVIEWS.policy(world.prompts()[0])
_floor = _grammar.entropy / _grammar.mean_length
value(
    "05.1",
    (np.exp(_floor), 100 * (np.exp(_floor + 0.1) / np.exp(_floor) - 1), 0.1 * _grammar.mean_length),
)
value("05.1", [math.exp(_floor), 100 * math.expm1(0.1), round(_grammar.mean_length / 10, 3)])


@right("05.2")
def learned_rows(lengths, size):
    kept = lengths[: len(lengths) // size * size].reshape(-1, size)
    w = np.ones_like(kept) / kept.sum(1, keepdims=True)
    return (w * kept).sum() / w.sum()


@right("05.2")
def learned_loop(lengths, size):
    above = below = 0.0
    for i in range(0, len(lengths) - size + 1, size):
        batch = [int(x) for x in lengths[i : i + size]]
        for y in batch:
            above += y / sum(batch)
            below += 1 / sum(batch)
    return above / below


@right("05.2")
def learned_harmonic(lengths, size):
    batches = len(lengths) // size
    means = lengths[: batches * size].reshape(batches, size).mean(axis=1)
    return float(1 / np.mean(1 / means))  # the harmonic mean of the batches' means


@right("05.2")
def learned_torch(lengths, size):
    rows = torch.as_tensor(lengths).float()
    rows = torch.stack([part for part in rows.split(size) if len(part) == size])
    weight = (1 / rows.sum(1)).repeat_interleave(size)
    return (weight @ rows.flatten() / weight.sum()).item()


# ---------------------------------------------------------------- 06
value("06.2", (0.3, 0.0108, 0.589))
value("06.2", [0.6 / (1 + math.exp(x)) for x in (0, 4, -4)])
value("06.2", 0.6 * torch.sigmoid(torch.tensor([0.0, -4.0, 4.0])))  # a tensor

# ---------------------------------------------------------------- 07
value("07.1", (0.6, 1.63, 0.35, 2.52))
value("07.1", (0.6, 1.6314, 0.35, 2.5222))


def _stop():
    from dpo_from_scratch.lab.records import Record

    record = Record.load("beta_sweep")
    betas = (0.05, 0.1, 0.2, 0.35, 0.6, 1.0, 2.0, 4.0)
    told = []
    for price in (0.6, 0.2):
        kl, r = (
            np.array([record.values(key, beta=b) for b in betas]) for key in ("kl", "true_reward")
        )
        J = r.mean(1) - price * kl.mean(1)
        told += [betas[J.argmax()], J.max()]
    return told


value("07.1", _stop())

# ---------------------------------------------------------------- 08
value("08.3", (0.2630845010280609, 1.592295527458191, -0.20305429471305336, -0.42566458333333335))
value("08.3", [0.26, 1.59, -0.20, -0.43])
value("08.3", (0.263, 1.592, -0.369, -0.426))  # the reference measured on its own 240 texts, seed 2
value("08.3", (0.263, 1.592, -0.203, -0.549))  # the policy's texts with the chapter's seed 1


@right("08.4")
def two_advantages(rewards):
    K = rewards.shape[1]
    rloo = rewards - (rewards.sum(1, keepdim=True) - rewards) / (K - 1)
    grpo = (rewards - rewards.mean(1, keepdim=True)) / rewards.std(1, keepdim=True)
    return rloo, grpo


@right("08.4")
def two_advantages_loops(rewards):
    rloo, grpo = [], []
    for group in rewards.tolist():
        K, mean = len(group), sum(group) / len(group)
        sd = math.sqrt(sum((x - mean) ** 2 for x in group) / (K - 1))
        rloo.append([x - sum(group[:i] + group[i + 1 :]) / (K - 1) for i, x in enumerate(group)])
        grpo.append([(x - mean) / sd for x in group])
    return torch.tensor(rloo, dtype=rewards.dtype), torch.tensor(grpo, dtype=rewards.dtype)


@right("08.4")
def two_advantages_centred(rewards):
    """K / (K - 1) times the deviation from the mean of all; in double precision."""
    R = rewards.double()
    K = R.size(-1)
    off = R - R.mean(-1, keepdim=True)
    return [K / (K - 1) * off, off / (off.square().sum(-1, keepdim=True) / (K - 1)).sqrt()]


@right("08.4")
def two_advantages_numpy(rewards):
    R = np.asarray(rewards)
    others = (1 - np.eye(R.shape[1])) / (R.shape[1] - 1)
    return R - R @ others, (R - R.mean(1, keepdims=True)) / R.std(1, ddof=1, keepdims=True)


# ---------------------------------------------------------------- 09
@right("09.1")
def cosine_and_lengths(g_w, g_l):
    cosine = g_w @ g_l / (g_w.norm() * g_l.norm())
    return cosine, g_l.norm() / g_w.norm()


@right("09.1")
def cosine_and_lengths_functional(g_w, g_l):
    return F.cosine_similarity(g_w, g_l, dim=0).item(), (g_l.norm() / g_w.norm()).item()


@right("09.1")
def cosine_and_lengths_numpy(g_w, g_l):
    a, b = g_w.detach().double().numpy(), g_l.detach().double().numpy()
    long_a, long_b = np.linalg.norm(a), np.linalg.norm(b)
    return [a.dot(b) / long_a / long_b, long_b / long_a]


@right("09.1")
def cosine_and_lengths_sums(g_w, g_l):
    ww, wl, ll = (g_w**2).sum(), (g_w * g_l).sum(), (g_l**2).sum()
    return torch.stack([wl / (ww * ll).sqrt(), (ll / ww).sqrt()])


value("09.2", (1.6, 0.16))  # two digits, as asked
value("09.2", (1.6248, 0.16206))  # brentq between 1 and 2; minimize_scalar
value("09.2", [np.float64(1.62), np.float64(0.162)])  # a fine geomspace


# ---------------------------------------------------------------- 10
@right("10.2")
def slope_sigmas(m, eps):
    return (-(1 - eps) * torch.sigmoid(-m) - eps * torch.sigmoid(m)) / (1 - 2 * eps)


@right("10.2")
def slope_one_sigma(m, eps):
    return torch.sigmoid(m) - (1 - eps) / (1 - 2 * eps)


@right("10.2")
def slope_numpy(m, eps):
    x = np.asarray(m, dtype=float)
    up = 1 / (1 + np.exp(-x))
    return -((1 - eps) * (1 - up) + eps * up) / (1 - 2 * eps)


@right("10.2")
def slope_plain(m, eps):
    sigma = lambda z: 1 / (1 + math.exp(-z))
    return torch.tensor(
        [-((1 - eps) * sigma(-x) + eps * sigma(x)) / (1 - 2 * eps) for x in m.tolist()]
    )


# ---------------------------------------------------------------- 11
@right("11.1")
def epsilon(clean, flipped):
    return (clean - flipped) / (2 * clean - 1)


@right("11.1")
def epsilon_by_root(clean, flipped):
    return brentq(lambda e: clean * (1 - e) + (1 - clean) * e - flipped, -2, 3)


@right("11.1")
def epsilon_by_distance(clean, flipped):
    """Flips shrink the distance from a coin toss by 1 - 2 eps."""
    return 0.5 * (1 - (flipped - 0.5) / (clean - 0.5))


# ---------------------------------------------------------------- 12
value("12.3", (2.54, 5.55, 0.1))
value("12.3", (2.5362179891421395, 5.546609372578503, 0.1))
_law = lambda m: np.exp(m) + m - 1
_beta = brentq(lambda b: _law(5 * b) - b**2 * 50_000, 0.5, 10)
value(
    "12.3", [_beta, brentq(lambda m: _law(m) - 4 * _law(5 * _beta), 1, 40) / _beta, 1 / 10]
)  # by the margin


# ---------------------------------------------------------------- 13
@right("13.3")
def weight_of_kind(of_kind, up):
    return of_kind[up].float().mean().item() / of_kind[~up].float().mean().item()


@right("13.3")
def weight_by_counts(of_kind, up):
    liked = (of_kind & up).sum() / up.sum()
    disliked = (of_kind & ~up).sum() / (~up).sum()
    return liked / disliked


@right("13.3")
def weight_by_odds(of_kind, up):
    """What a perfect classifier would say: odds of up in the kind over odds of up in all."""
    u = up[of_kind].double().mean()
    v = up.double().mean()
    return float(u / (1 - u) * (1 - v) / v)


@right("13.3")
def weight_plain(of_kind, up):
    n = {(a, b): 0 for a in (True, False) for b in (True, False)}
    for kind, liked in zip(of_kind.tolist(), up.tolist()):
        n[kind, liked] += 1
    share = lambda liked: n[True, liked] / (n[True, liked] + n[False, liked])
    return share(True) / share(False)


# ---------------------------------------------------------------- 14
value("14.1", (0.128, 0.847))
value("14.1", [0.1279023817477331, 0.8469798111303797])  # brentq; np.polyfit

# ---------------------------------------------------------------- 15
value("15.3", (20.2, 27.333333333333332, 21.108333333333334))  # rounds.plan; tests * 10, seed 0
value("15.3", [22.2, 27.9, 22.2])  # np.repeat(tests, 10), seed 1
value("15.3", (22.075, 27.15, 21.942))  # tests * 10, seed 15
value(
    "15.3", np.array([20.2, 27.725, 21.033])
)  # judged_pairs on all asked, three times, each round

# ---------------------------------------------------------------- 16
value("16.1", (6.308, 6.981, 6.074))


def _words():
    prompt = world.prompts("test")[0]
    replies = world.MINI.replies(prompt)
    log_ref, r = world.MINI.log_probs(prompt, replies), world.rewards(prompt, replies)
    n = np.array([len(text.split()) for text in replies])
    one = softmax(log_ref + (r + 0.5 * n) / 1.2)
    two = softmax(np.log(one) + (r - 0.5 * n) / 1.2)
    return [np.exp(log_ref) @ n, one @ n, two @ n]


value("16.1", _words())
value("16.1", (6.31, 6.98, 6.07))

value("16.2", (0.025, 6.41, 5.02))
value("16.2", [0.1 / 4, 6.41186192223039, 5.015777925071035])


@right("16.3")
def wrong_start(lead):
    return np.logaddexp(0, lead).mean()  # loss_of(-lead)


@right("16.3")
def wrong_start_torch(lead):
    return -F.logsigmoid(-torch.as_tensor(lead)).mean().item()


@right("16.3")
def wrong_start_loop(lead):
    losses = [-math.log(1 / (1 + math.exp(m))) for m in lead]
    return sum(losses) / len(losses)


# ---------------------------------------------------------------- 17
_openings = ("the plot was lovely .", "the plot was dull .", "it was my second time .")
_P = np.array(
    [[world.panel("film : how was the plot ?", a, b) for b in _openings] for a in _openings]
)
_start = np.array(world.HOUSE.first)


@right("17.1")
def small_steps(eta, rounds):
    policies = [_start]
    for _ in range(rounds):
        now = policies[-1]
        policies.append(np.exp(exact.gibbs(np.log(now), _P @ now, eta).log_probs))
    return exact.exploitability(np.array(policies)[1:].mean(0), _P)


@right("17.1")
def small_steps_running(eta, rounds):
    """One log policy, changed in place, and a running sum."""
    log_p, total = np.log(_start), np.zeros(3)
    for _ in range(rounds):
        log_p = log_softmax(log_p + _P @ np.exp(log_p) / eta)
        total += np.exp(log_p)
    return float((_P @ (total / rounds)).max())


@right("17.1")
def small_steps_torch(eta, rounds):
    P, now = torch.tensor(_P), torch.tensor(_start)
    seen = []
    for _ in range(rounds):
        now = now * torch.exp(P @ now / eta)
        now = now / now.sum()
        seen.append(now)
    return (P @ torch.stack(seen).mean(0)).max().item()


@right("17.2")
def nash_md(eta, alpha, rounds):
    now = _start
    for _ in range(rounds):
        mix = now ** (1 - alpha) * _start**alpha
        mix = mix / mix.sum()
        now = np.exp(exact.gibbs(np.log(mix), _P @ mix, eta).log_probs)
    return now


@right("17.2")
def nash_md_logs(eta, alpha, rounds):
    first = np.log(_start)
    log_p = first
    for _ in range(rounds):
        log_mix = log_softmax((1 - alpha) * log_p + alpha * first)
        log_p = log_softmax(log_mix + np.exp(log_mix) @ _P.T / eta)
    return np.exp(log_p)


@right("17.2")
def nash_md_plain(eta, alpha, rounds):
    p0 = [float(x) for x in _start]
    now = p0
    for _ in range(rounds):
        mix = [a ** (1 - alpha) * b**alpha for a, b in zip(now, p0)]
        mix = [x / sum(mix) for x in mix]
        rates = [sum(w * x for w, x in zip(row, mix)) for row in _P.tolist()]
        now = [x * math.exp(rate / eta) for x, rate in zip(mix, rates)]
        now = [x / sum(now) for x in now]
    return now


# ---------------------------------------------------------------- 19
@right("19.2")
def both_orders(d, b):
    d = np.asarray(d)
    sigma = lambda z: 1 / (1 + np.exp(-z))
    return (sigma(d + b) + 1 - sigma(-d + b)) / 2


@right("19.2")
def both_orders_torch(d, b):
    d = torch.as_tensor(d)
    return torch.stack([torch.sigmoid(d + b), torch.sigmoid(d - b)]).mean(0)


@right("19.2")
def both_orders_loop(d, b):
    answers = []
    for x in d:
        shown_first = 1 / (1 + math.exp(-(float(x) + b)))
        shown_second = 1 - 1 / (1 + math.exp(-(-float(x) + b)))
        answers.append((shown_first + shown_second) / 2)
    return answers


value("19.3", (0.315, 0.113))
value("19.3", (0.3148437108439355, 0.11312327879997142))


def _lines():
    """Straight lines by hand, between the two points round 5."""
    from dpo_from_scratch.lab.figures import ch19
    from dpo_from_scratch.lab.records import Record

    kls = np.sort(ch19.curves(Record.load("judge_quality"), "exact")[0].mean(0))
    best = lambda kl: world.REVIEWS.optimum_at_kl(kl).mean_reward
    a, b = kls[kls < 5].max(), kls[kls > 5].min()
    told = []
    for f in (lambda x: x, math.sqrt):
        part = (f(5) - f(a)) / (f(b) - f(a))
        told.append(best(5) - (best(a) + part * (best(b) - best(a))))
    return told


value("19.3", _lines())


# ---------------------------------------------------------------- 20
@right("20.1")
def can_tell(votes):
    shares = []
    for i in range(votes.shape[1]):
        others = votes.sum(1) - votes[:, i]
        sure = (others != 0) & (votes[:, i] != 0)
        shares.append((np.sign(others[sure]) == votes[sure, i]).mean())
    return shares


@right("20.1")
def can_tell_at_once(votes):
    others = votes.sum(1, keepdims=True) - votes
    product = np.sign(others) * votes
    return (product > 0).sum(0) / (product != 0).sum(0)


@right("20.1")
def can_tell_plain(votes):
    rows = [[int(v) for v in row] for row in votes]
    out = []
    for i in range(len(rows[0])):
        same = asked = 0
        for row in rows:
            rest = sum(row[:i]) + sum(row[i + 1 :])
            if row[i] and rest:
                asked += 1
                same += (row[i] > 0) == (rest > 0)
        out.append(same / asked)
    return out


@right("20.1")
def can_tell_torch(votes):
    v = torch.as_tensor(votes)
    agrees = v.sign() * (v.sum(1, keepdim=True) - v).sign()
    return agrees.eq(1).sum(0) / agrees.ne(0).sum(0)


value("20.2", (0.634, 0.725, 2, 3))
value("20.2", [0.6344137870570996, 0.7246032839447416, 2, 3])

# ---------------------------------------------------------------- 22
_MASK = 'labels, mask = batch["input_ids"][:, 1:], batch["loss_mask"][:, 1:]'
value(
    "22.2", (_MASK, _MASK + " * (torch.arange(batch['loss_mask'].shape[1] - 1) % 2)")
)  # odd places of the row
value(
    "22.2",
    (
        "return (logps * mask).sum(-1).chunk(2)",
        "return (logps * mask * (mask.cumsum(-1) % 2)).sum(-1).chunk(2)",
    ),
)  # 1st, 3rd ... of the response
value("22.2", ["(logps * mask).sum(-1)", "(logps * mask)[:, ::2].sum(-1)"])  # a list; a slice
value(
    "22.2",
    ("[1] * len(response))[:max_length]", "[i % 2 for i in range(len(response))])[:max_length]"),
)  # in collate's mask: 2nd, 4th ...


@right("22.3")
def trl_log(curves):
    kept = {"step": "step", "loss": "loss", "grad_norm": "grad_norm"} | {
        theirs: ours for theirs, ours in TRL_NAMES.items()
    }
    log = [{name: curves[key][i] for name, key in kept.items()} for i in range(len(curves["loss"]))]
    log[0] |= {"rewards/chosen": 0.3, "rewards/margins": 0.3, "loss": math.log(1 + math.exp(-0.3))}
    return log


@right("22.3")
def trl_log_renamed(curves):
    turned = {ours: theirs for theirs, ours in TRL_NAMES.items()}
    for same in ("step", "loss", "grad_norm"):
        turned[same] = same
    columns = {turned[key]: values for key, values in curves.items() if key in turned}
    rows = [dict(zip(columns, row)) for row in zip(*columns.values())]
    rows[0]["rewards/chosen"] = rows[0]["rewards/margins"] = 0.3
    rows[0]["loss"] = -F.logsigmoid(torch.tensor(0.3)).item()
    return rows


@right("22.3")
def trl_log_with_rate(curves):
    """Keeps the learning rate, too, which TRL's logs have under the same name."""
    log = []
    for i, step in enumerate(curves["step"]):
        row = {"step": step}
        for name in ("loss", "grad_norm", "learning_rate"):
            if name in curves:
                row[name] = curves[name][i]
        for theirs, ours in TRL_NAMES.items():
            row[theirs] = curves[ours][i]
        if i == 0:
            row["rewards/chosen"] = 0.3
            row["rewards/margins"] = 0.3
            row["loss"] = float(np.logaddexp(0, -0.3))
        log.append(row)
    return log
