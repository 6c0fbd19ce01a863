"""The playground: what its mathematics (website/play/dpo.js) computes is what the package computes.

V8 runs the file as a browser would. Exact parts agree to 1e-10, 200 steps of training to 1e-9.
"""

import json
import re
import sys
from importlib import import_module
from itertools import combinations, permutations
from pathlib import Path

import numpy as np
import pytest
import torch

from dpo_from_scratch import exact
from dpo_from_scratch.data import data_path, read_rows
from dpo_from_scratch.doctor import hooks
from dpo_from_scratch.losses import LOSSES
from dpo_from_scratch.models import Scorer, frozen_copy, pad_id
from dpo_from_scratch.scoring import score_examples
from dpo_from_scratch.studies import read_a_token
from dpo_from_scratch.tokens import encode

pytest.importorskip("py_mini_racer")
PLAY = Path(__file__).parent.parent / "website" / "play"
sys.path.insert(0, str(PLAY))
make = import_module("make")
WORLD = make.small_world()
PAIRWISE = sorted(name for name, loss in LOSSES.items() if loss.needs == "pairs")
EXACT = {"rtol": 1e-10, "atol": 1e-10}
TRAINED = {"rtol": 0, "atol": 1e-9}


def written(file, name):
    """An entry of a file of data, as it lies there."""
    text = (PLAY / file).read_text(encoding="utf-8")
    return json.loads(re.search(rf"^DPO\.{name} = (.*?);$", text, re.M | re.S)[1])


def define(js, name, code):
    """A helper of one test, in JavaScript."""
    js("eval", f"globalThis.{name} = {code}; 0")


# ---------------------------------------------------------------- Python's twins
def mulberry32(seed):
    """The generator of dpo.js: whole numbers of 32 bits."""
    full = 0xFFFFFFFF
    while True:
        seed = (seed + 0x6D2B79F5) & full
        x = ((seed ^ (seed >> 15)) * (seed | 1)) & full
        x ^= (x + ((x ^ (x >> 7)) * (x | 61) & full)) & full
        yield x ^ (x >> 14)


def sample_pairs(probs, rewards, n, noise, seed):
    """The pairs of dpo.js, draw by draw."""
    uniform, pairs = (x / 2**32 for x in mulberry32(seed)), []

    def draw():
        left = next(uniform)
        for i, p in enumerate(probs[:-1]):
            left -= p
            if left < 0:
                return i
        return len(probs) - 1

    preferred = exact.preferences(rewards)
    while len(pairs) < n:
        a, b = draw(), draw()
        if a != b:
            wins = next(uniform) < preferred[a, b]
            turned = next(uniform) < noise
            pairs.append([a, b] if wins != turned else [b, a])
    return pairs


def options_of(name, **more):
    """A loss's defaults, and what a trainer would hand it."""
    return LOSSES[name].defaults | ({"delta": 0.0} if name == "bco_pair" else {}) | more


def call(name, chosen, rejected, reference, lengths, options):
    """The package's loss of B pairs."""
    inputs, arguments = LOSSES[name].inputs, [chosen, rejected]
    if name == "sft":
        return LOSSES[name].fn(chosen)
    if "reference" in inputs:
        arguments += reference
    options = dict(options)
    if "lengths" in inputs:
        options |= dict(zip(("chosen_lengths", "rejected_lengths"), lengths, strict=True))
    return LOSSES[name].fn(*arguments, **options)


# ---------------------------------------------------------------- generator and data
@pytest.mark.parametrize("seed", [0, 1, 2026, 2**32 - 1])
def test_the_generator_gives_the_same_thousand_numbers_in_both_languages(js, seed):
    define(js, "draw", "(seed, n) => Array.from({length: n}, DPO.generator(seed))")
    twin = mulberry32(seed)
    numbers = js("draw", seed, 1000)
    assert numbers == [next(twin) for _ in range(1000)]
    assert len(set(numbers)) == 1000


@pytest.mark.parametrize("file", make.FILES)
def test_the_data_are_what_the_script_makes(file):
    found = (PLAY / file).read_text(encoding="utf-8")
    assert found == make.text(file), "python website/play/make.py"


def test_the_small_world_has_forty_replies_of_the_mini_world_and_the_best_of_all():
    assert len(set(WORLD["texts"])) == 40
    for found in WORLD["logProbs"].values():
        assert np.exp(found).sum() == pytest.approx(1, abs=1e-10)
    everything = make.world.rewards(make.PROMPT, make.world.MINI.replies(make.PROMPT))
    assert WORLD["rewards"][0] == pytest.approx(everything.max())
    assert WORLD["of"] == len(everything)
    assert WORLD["rewards"] == sorted(WORLD["rewards"], reverse=True)


# ---------------------------------------------------------------- losses
def test_every_loss_on_pairs_is_there(js):
    define(js, "names", "() => Object.keys(DPO.LOSSES)")
    assert sorted([*js("names"), "aot"]) == sorted([*PAIRWISE, "sft"])


CASES = [(name, {}) for name in [*PAIRWISE, "sft"]]
CASES += [("f_dpo", {"divergence": d}) for d in ("forward_kl", "js", "alpha")]
CASES += [("f_dpo", {"divergence": "alpha", "alpha": 1.7}), ("dno", {"win_probability": 0.3})]
CASES += [("cpo", {"nll_weight": 0.5}), ("bco_pair", {"delta": 0.4}), ("discopop", {"tau": 0.3})]
CASES += [(name, {"beta": 1.3}) for name in PAIRWISE if "beta" in LOSSES[name].defaults]


@pytest.mark.parametrize(("name", "more"), CASES, ids=lambda x: x if isinstance(x, str) else None)
def test_a_loss_and_its_slopes_are_the_packages(js, name, more):
    generator = torch.Generator().manual_seed(0)
    four = -7 * torch.rand(4, 300, generator=generator, dtype=torch.float64) - 1e-9
    four[0, :50] = four[2, :50]  # kinks: a log-ratio of zero, the reference itself
    four[1, :20] = four[3, :20]
    four[0, 50:60], four[0, 60:70] = -1e-12, -300.0  # a certain text, and a hopeless one
    lengths = torch.randint(1, 12, (2, 300), generator=generator).double()
    options = options_of(name, **more)
    chosen, rejected = (x.clone().requires_grad_() for x in four[:2])
    values = call(name, chosen, rejected, four[2:], lengths, options)
    slopes = torch.autograd.grad(values.sum(), (chosen, rejected), materialize_grads=True)
    if name == "aot":  # the package gives the values sorted
        values = values[(chosen - rejected).argsort().argsort()]
    columns = ("chosen", "rejected", "refChosen", "refRejected", "chosenLength", "rejectedLength")
    rows = zip(*four.tolist(), *lengths.tolist(), strict=True)
    given = {"winProbability": more.get("win_probability", 1.0)}
    pairs = [dict(zip(columns, row, strict=True)) | given for row in rows]
    found = np.array(js("DPO.losses", name, pairs, options))
    wanted = torch.stack([values, *slopes], dim=1).detach().numpy()
    np.testing.assert_allclose(found, wanted, **EXACT)


# ---------------------------------------------------------------- exact parts
@pytest.mark.parametrize("beta", [0.02, 0.1, 0.5, 1.0, 7.0])
def test_the_optimum_its_z_and_its_distance_are_the_packages(js, beta):
    log_ref, rewards = WORLD["logProbs"]["house"], WORLD["rewards"]
    found, wanted = js("DPO.gibbs", log_ref, rewards, beta), exact.gibbs(log_ref, rewards, beta)
    np.testing.assert_allclose(found["logProbs"], wanted.log_probs, **EXACT)
    numbers = [found[name] for name in ("logZ", "meanReward", "kl")]
    np.testing.assert_allclose(numbers, [wanted.log_Z, wanted.mean_reward, wanted.kl], **EXACT)
    again = js("DPO.gibbsAtKl", log_ref, rewards, found["kl"])
    assert again["meanReward"] == pytest.approx(found["meanReward"], abs=1e-8)
    assert js("DPO.kl", found["logProbs"], log_ref) == pytest.approx(wanted.kl, abs=1e-10)


def test_what_the_optimum_gives_to_pairs_is_its_own_log_ratios(js):
    log_ref, rewards = np.array(WORLD["logProbs"]["house"]), WORLD["rewards"]
    pairs, best = (
        sample_pairs(np.exp(log_ref), rewards, 50, 0.1, 3),
        exact.gibbs(log_ref, rewards, 0.4),
    )
    found = js("DPO.optimumOn", pairs, rewards, 0.4, best.log_Z)
    wanted = (best.log_probs - log_ref)[np.array(pairs)].mean(0)
    np.testing.assert_allclose(found, wanted, **EXACT)


def test_bradley_terry_its_uncertainty_and_the_ceiling_are_the_packages(js):
    rng = np.random.default_rng(0)
    probs, rewards = rng.dirichlet(np.ones(7)), rng.normal(size=7)
    preferred = exact.preferences(rewards)
    np.testing.assert_allclose(js("DPO.preferences", rewards.tolist()), preferred, **EXACT)
    found = js("DPO.ceiling", probs.tolist(), preferred.tolist())
    np.testing.assert_allclose(found, exact.ceiling(probs, preferred), **EXACT)
    wins = rng.integers(1, 5, (7, 7)) * (1 - np.eye(7, dtype=int))
    apart = np.zeros((6, 6), int)
    apart[:3, :3] = apart[3:, 3:] = wins[:3, :3]  # two groups that never meet
    for counts, prior in ((wins, 0.0), (wins, 0.7), (apart, 0.0), (np.triu(wins), 0.5)):
        found = js("DPO.fitBradleyTerry", counts.tolist(), prior)
        fit = exact.fit_bradley_terry(counts, prior)
        np.testing.assert_allclose(found["scores"], fit.scores, **EXACT)
        np.testing.assert_allclose(found["covariance"], fit.covariance, **EXACT)
    assert js("DPO.fitBradleyTerry", np.triu(wins).tolist(), 0.0) is None  # scores without end


# ---------------------------------------------------------------- training
@pytest.mark.parametrize("author", ["house", "gloomy"])
def test_the_same_pairs_are_drawn_in_both_languages_and_labelled_as_told(js, author):
    probs, rewards = np.exp(WORLD["logProbs"][author]).tolist(), WORLD["rewards"]
    found = js("DPO.samplePairs", probs, rewards, 3000, 0.2, 7)
    assert found == sample_pairs(probs, rewards, 3000, 0.2, 7)
    clean = np.array(js("DPO.samplePairs", probs, rewards, 3000, 0.0, 7))
    turned = (np.array(found) != clean).any(1).mean()  # the same draws, some labels turned round
    assert turned == pytest.approx(0.2, abs=0.03)
    chance = 1 / (1 + np.exp(np.diff(np.array(rewards)[clean])[:, 0]))  # of the label that it got
    assert chance.mean() == pytest.approx((chance**2 + (1 - chance) ** 2).mean(), abs=0.02)


def trained_by_torch(name, pairs, options, rate, steps):
    """Logits after Adam on the package's loss, by autograd."""
    log_ref = torch.tensor(WORLD["logProbs"]["house"], dtype=torch.float64).log_softmax(0)
    logits, places = log_ref.clone().requires_grad_(), torch.tensor(pairs).T
    lengths, reference = torch.tensor(WORLD["lengths"]).double()[places], log_ref[places]
    adam = torch.optim.Adam([logits], lr=rate)
    for _ in range(steps):
        adam.zero_grad()
        chosen, rejected = logits.log_softmax(0)[places]
        loss = call(name, chosen, rejected, reference, lengths, options).mean()
        loss.backward()
        adam.step()
    return logits.detach().numpy(), loss.item()


@pytest.mark.parametrize("name", [*PAIRWISE, "sft"])
def test_two_hundred_steps_end_where_the_package_and_torch_end(js, name):
    options = options_of(name) | ({"beta": 0.5} if "beta" in LOSSES[name].defaults else {})
    if name == "ipo":
        options["tau"] = 0.5
    log_ref, rewards = WORLD["logProbs"]["house"], WORLD["rewards"]
    pairs = sample_pairs(np.exp(log_ref).tolist(), rewards, 256, 0.1, 11)
    code = """(pairs, loss, options, rate, steps) => {
        const {logProbs, lengths, rewards} = DPO.world;
        const run = DPO.startTraining(logProbs.house, pairs, loss, options, rate, lengths);
        for (let i = 0; i < steps; i++) DPO.trainStep(run);
        return {logits: run.logits, told: DPO.measure(run, rewards)};
    }"""
    define(js, "train", code)
    found = js("train", pairs, name, options, 0.05, 200)
    wanted, _ = trained_by_torch(name, pairs, options, 0.05, 200)
    np.testing.assert_allclose(found["logits"], wanted, **TRAINED)
    check_the_dashboard(found["told"], wanted, pairs, name, options)


def check_the_dashboard(told, logits, pairs, name, options):
    """What the page shows of these logits, each number by the package."""
    log_ref = np.array(WORLD["logProbs"]["house"])
    log_probs = logits - np.logaddexp.reduce(logits)
    ratios = (log_probs - log_ref)[np.array(pairs)]
    places = torch.tensor(pairs).T
    chosen, rejected = torch.tensor(log_probs)[places]
    lengths = torch.tensor(WORLD["lengths"]).double()[places]
    loss = call(name, chosen, rejected, torch.tensor(log_ref)[places], lengths, options).mean()
    wanted = {
        "step": 200,
        "loss": loss.item(),
        "chosen": ratios[:, 0].mean(),
        "rejected": ratios[:, 1].mean(),
        "accuracy": ((1 + np.sign(np.round(ratios[:, 0] - ratios[:, 1], 9))) / 2).mean(),
        "reward": np.exp(log_probs) @ WORLD["rewards"],
        "kl": exact.kl(log_probs, log_ref),
    }
    assert told == pytest.approx(wanted, abs=1e-8)


def test_training_again_from_the_same_seed_gives_the_same_numbers(js):
    code = """(seed) => {
        const {logProbs, rewards} = DPO.world;
        const pairs = DPO.samplePairs(logProbs.house.map(Math.exp), rewards, 64, 0, seed);
        const run = DPO.startTraining(logProbs.house, pairs, "dpo", {beta: 0.5}, 0.05);
        for (let i = 0; i < 20; i++) DPO.trainStep(run);
        return run.logits;
    }"""
    define(js, "again", code)
    assert js("again", 1) == js("again", 1) != js("again", 2)


# ---------------------------------------------------------------- the plane
@pytest.mark.parametrize(("cosine", "ratio"), [(0.0, 1.0), (0.9, 1.0), (0.8, 1.5)])
@pytest.mark.parametrize("name", ["dpo", "ipo", "nca", "dpop", "chi_po", "apo_down"])
def test_fifty_steps_in_the_plane_are_descent_on_shared_parameters(js, name, cosine, ratio):
    """Two texts whose log-ratios are linear in two weights: gradients of that angle and length."""
    options = options_of(name) | ({"beta": 0.7} if "beta" in LOSSES[name].defaults else {})
    g_w = torch.tensor([1.0, 0.0], dtype=torch.float64)
    g_l = ratio * torch.tensor([cosine, np.sqrt(1 - cosine**2)], dtype=torch.float64)
    start = torch.tensor([0.4, -0.7], dtype=torch.float64)
    weights = torch.linalg.solve(torch.stack([g_w, g_l]), start).requires_grad_()
    path, zero = [start.numpy()], torch.zeros(1, dtype=torch.float64)
    for _ in range(50):
        at = g_w @ weights, g_l @ weights
        (slope,) = torch.autograd.grad(
            call(name, at[0][None], at[1][None], [zero, zero], None, options), weights
        )
        weights = (weights - 0.1 * slope).detach().requires_grad_()
        path.append([(g_w @ weights).item(), (g_l @ weights).item()])
    found = js("DPO.descend", name, start.tolist(), options, 50, 0.1, cosine, ratio)
    np.testing.assert_allclose(found, np.array(path), **TRAINED)
    a, b = js("DPO.push", name, *start.tolist(), options)
    assert np.sign(path[1][0] - path[0][0]) == np.sign(a + b * cosine * ratio)


# ---------------------------------------------------------------- what the pages tell people to try
RUN = """(loss, options, more) => {
    const {logProbs, lengths, rewards} = DPO.world;
    const {n, noise, author, seed} = {n: 512, noise: 0, author: "house", seed: 3, ...more};
    const pairs = DPO.samplePairs(logProbs[author].map(Math.exp), rewards, n, noise, seed);
    const run = DPO.startTraining(logProbs.house, pairs, loss, options, 0.05, lengths);
    const best = DPO.gibbs(logProbs.house, rewards, options.beta);
    const own = DPO.measure({...run, logits: best.logProbs}, rewards);
    const rows = [DPO.measure(run, rewards)];
    for (let i = 0; i < 300; i++) {
        DPO.trainStep(run);
        if (i % 5 === 4) rows.push(DPO.measure(run, rewards));
    }
    const end = rows.at(-1);
    const best_there = DPO.gibbsAtKl(logProbs.house, rewards, Math.min(end.kl, 5.07));
    end.lost = best_there.meanReward - end.reward;
    return {rows, end, own};
}"""


@pytest.fixture
def run(js):
    """300 steps with the settings with which the first page opens, but for those given."""
    define(js, "run", RUN)
    return lambda loss, options, **more: js("run", loss, options, more)


def test_the_reward_turns_down_after_the_loss_has_crossed_the_optimum_s_own(run):
    told = run("dpo", {"beta": 0.5})
    rewards, losses = (np.array([row[key] for row in told["rows"]]) for key in ("reward", "loss"))
    top = rewards.argmax()
    crossed = (losses < told["own"]["loss"]).argmax()
    assert 0 < crossed < top < 40  # of 60, a row every five steps
    assert rewards[-1] < rewards[top] - 0.2
    assert losses[-1] < losses[top]


def test_a_smaller_beta_makes_a_larger_gap_in_nats_and_no_larger_margin_nor_accuracy(run):
    at = {beta: run("dpo", {"beta": beta})["end"] for beta in (0.5, 0.2)}
    gap = {beta: end["chosen"] - end["rejected"] for beta, end in at.items()}
    assert gap[0.2] > 2 * gap[0.5]
    assert 0.2 * gap[0.2] == pytest.approx(0.5 * gap[0.5], rel=0.12)
    assert at[0.2]["accuracy"] == pytest.approx(at[0.5]["accuracy"], abs=0.01)


def test_chosen_replies_fall_and_so_do_the_optimum_s_own_further_with_a_gloomy_author(run):
    house = run("dpo", {"beta": 0.5})
    gloomy = run("dpo", {"beta": 0.5}, author="gloomy")
    assert house["end"]["chosen"] < 0 > house["own"]["chosen"]
    assert gloomy["end"]["chosen"] < house["end"]["chosen"] - 1
    assert gloomy["own"]["chosen"] < house["own"]["chosen"] - 1
    assert gloomy["end"]["reward"] > house["end"]["reward"] - 0.2


def test_at_a_beta_of_4_chosen_replies_rise_and_so_do_the_optimum_s_own(run):
    told = run("dpo", {"beta": 4})
    assert told["end"]["chosen"] > 0.05
    assert told["own"]["chosen"] > 0.05


def test_of_a_third_turned_round_cdpo_stays_near_and_robust_dpo_runs_away(run):
    told = {"beta": 0.5, "label_smoothing": 0.3}
    ends = {name: run(name, told, noise=0.3)["end"] for name in ("dpo", "cdpo", "robust_dpo")}
    assert ends["cdpo"]["kl"] < 0.2 < ends["dpo"]["kl"] < ends["robust_dpo"]["kl"]
    assert ends["cdpo"]["lost"] < 0.2 < ends["dpo"]["lost"] < ends["robust_dpo"]["lost"]


def test_other_pairs_end_elsewhere_and_many_pairs_lose_less(run):
    few = [run("dpo", {"beta": 0.5}, seed=seed)["end"] for seed in range(3, 7)]
    many = [run("dpo", {"beta": 0.5}, seed=seed, n=2048)["end"] for seed in range(3, 7)]
    assert np.ptp([end["kl"] for end in few]) > 0.7
    assert np.mean([end["lost"] for end in many]) < np.mean([end["lost"] for end in few])


def test_what_the_plane_s_page_asks_for_can_be_found_on_it(js):
    def end(name, options, rate=0.1, cosine=0, ratio=1):
        return js("DPO.descend", name, [0, 0], options, 50, rate, cosine, ratio)[-1]

    at_one, alike = {"beta": 1}, {"cosine": 0.9, "ratio": 1.5}
    w, l = end("dpo", at_one, **alike)  # noqa: E741
    assert l < w < -0.5  # both fall, the gap grows
    assert end("sppo", at_one, **alike)[0] > 0
    assert end("dpop", at_one | {"penalty": 5}, **alike)[0] > 0
    gaps, pushes = [], []
    for beta in (2, 1):
        soft = {"beta": beta, "label_smoothing": 0.3}
        gaps.append(-np.subtract(*end("cdpo", soft, rate=0.2)[::-1]))
        pushes.append(js("DPO.push", "cdpo", 0, 0, soft)[0])
        assert gaps[-1] == pytest.approx(np.log(0.7 / 0.3) / beta, rel=0.02)  # at rest
    assert pushes[0] > pushes[1]
    assert gaps[0] < gaps[1]
    wrong = {"dpo": at_one, "exo": at_one | {"label_smoothing": 0.1}}
    dpo, exo = (js("DPO.push", name, -3.5, 3.5, options)[0] for name, options in wrong.items())
    assert dpo > 0.95
    assert exo < 0.05
    assert js("DPO.push", "discopop", 0, 0, at_one | {"tau": 0.05})[1] > 0  # uphill


# ---------------------------------------------------------------- which bug?
@pytest.fixture(scope="module")
def cases():
    """The runs of the page: (fault or None, seed, setting) -> run."""
    return {(c["bug"], c["seed"], c["called"]): c for c in written("cases.js", "cases")}


@pytest.fixture(scope="module")
def fault(cases):
    """fault -> (its run, the script as it stands on the same pairs)."""
    twins = written("cases.js", "twins")
    return {bug: (case, twins[str(seed)]) for (bug, seed, _), case in cases.items() if bug}


def shuffled(n, seed):
    """The order of dpo.js."""
    random, order = mulberry32(seed), list(range(n))
    for k in range(n - 1, 0, -1):
        other = int(next(random) / 2**32 * (k + 1))
        order[k], order[other] = order[other], order[k]
    return order


def test_an_order_of_chance_is_the_same_in_both_languages(js):
    for seed in (1, 2, 77):
        assert js("DPO.shuffled", 25, seed) == shuffled(25, seed)
        assert sorted(shuffled(25, seed)) == list(range(25))


def test_a_curve_in_four_numbers(js, cases):
    for case in cases.values():
        for curve in case["curves"].values():
            told = js("DPO.summary", curve)
            wanted = [curve[0], min(curve), max(curve), np.mean(curve[-8:])]
            found = [told[name] for name in ("first", "least", "most", "last")]
            np.testing.assert_allclose(found, wanted, **EXACT)


def test_the_cases_are_chapter_22_s_and_ten_more_and_the_page_knows_every_fault(cases, fault):
    assert len(cases) == 25
    assert sum(bug is None for bug, _, _ in cases) == 5
    page = (PLAY / "bug.js").read_text(encoding="utf-8")
    listed = re.findall(r'^    "([a-z0-9 -]+)": \[(TOKENS|REFERENCE|SUMS), ', page, re.M)
    assert sorted(name for name, _ in listed) == sorted(fault)
    chapter = (NOTEBOOKS / "22_find_the_bug.ipynb").read_text(encoding="utf-8")
    for section in re.findall(r'"([^"]+)"', re.search(r"\[TOKENS,.*\] = (.*)", page)[1]):
        assert f'"## {section}\\n"' in chapter or f'"## {section}"' in chapter
    first = list(cases)[shuffled(25, int(re.search(r"place\] = \[(\d+),", page)[1]))[0]]
    assert first[0] == "learning rate too high"


def test_what_is_said_of_health_holds_for_the_healthy_and_the_doctor_is_silent(cases):
    for (bug, _, _), case in cases.items():
        first = {name: curve[0] for name, curve in case["curves"].items()}
        alarms = [f for f in case["log"] + case["probes"] if f["level"] == "problem"]
        if bug is None:
            assert first["loss"] == pytest.approx(np.log(2), abs=1e-4)
            assert first["chosen_reward"] == first["rejected_reward"] == 0
            assert set(case["curves"]["eos"]) == {1.0}
            assert alarms == []
        else:  # some evidence names every fault
            codes = [f["code"] for f in case["log"] + case["probes"]]
            assert case["code"] in codes, bug


def last(run, curve):
    return np.mean(run["curves"][curve][-8:])


def test_what_the_page_says_of_tokens_and_masks_is_in_the_curves(fault):
    it, twin = fault["prompt not masked"]
    for curve in ("loss", "margin"):
        np.testing.assert_allclose(it["curves"][curve], twin["curves"][curve], atol=1e-3)
    assert 3 < last(it, "chosen_logp") / last(twin, "chosen_logp") < 3.6
    assert set(it["curves"]["scored"]) == {1.0}
    assert it["reward"] == pytest.approx(twin["reward"], abs=0.01)
    it, twin = fault["end of text not scored"]
    assert set(it["curves"]["eos"]) == {0.0}
    assert np.abs(np.subtract(it["curves"]["loss"], twin["curves"]["loss"])).max() < 0.05
    assert all(text[-1] == "." for text in it["pair"]["texts"])
    it, twin = fault["chosen and rejected swapped"]
    assert last(it, "margin") > last(twin, "margin")
    assert it["reward"] < twin["reward"] - 4
    it, twin = fault["end of text doubled"]
    assert it["curves"]["grad_norm"][0] > 5 * twin["curves"]["grad_norm"][0]
    assert last(it, "loss") > last(twin, "loss")
    assert set(it["curves"]["eos"]) == {2.0}
    it, twin = fault["response truncated"]
    assert 0.28 < np.mean(it["curves"]["eos"]) < 0.4
    assert last(it, "margin") < last(twin, "margin")
    assert all("<eos>" not in text for text in it["pair"]["texts"])
    it, twin = fault["left padding without positions"]
    assert 1.8 < last(it, "chosen_logp") / last(twin, "chosen_logp") < 2.5
    it, _ = fault["padding scored"]
    assert min(it["curves"]["scored"]) > 1
    assert all("<pad>" in text for text in it["pair"]["texts"])
    assert [f["code"] for f in it["log"]] == ["prompt_scored"]  # and that is wrong


def test_what_the_page_says_of_the_reference_is_in_the_curves(fault):
    it, _ = fault["reference is the policy"]
    assert np.ptp(it["curves"]["loss"]) == 0 < min(it["curves"]["grad_norm"])
    it, _ = fault["reference moves"]
    assert it["curves"]["margin"].count(0.0) > 10
    it, _ = fault["dropout on"]
    assert it["curves"]["loss"][0] > 1
    assert it["curves"]["chosen_reward"][0] < -0.5
    it, _ = fault["beta on policy only"]
    assert it["curves"]["margin"][0] == 0
    assert it["curves"]["loss"][0] > 0.9
    assert "step_too_large" in [f["code"] for f in it["log"]]  # which is wrong


def test_what_the_page_says_of_sums_and_steps_is_in_the_curves(fault):
    def first(bug, curve):
        return fault[bug][0]["curves"][curve][0]

    assert first("labels not shifted", "chosen_logp") / 20 < -11
    assert -2 < last(fault["mean for sum"][0], "chosen_logp") < first("mean for sum", "chosen_logp")
    assert set(fault["beta is zero"][0]["curves"]["grad_norm"]) == {0.0}
    assert max(fault["learning rate too high"][0]["curves"]["loss"][:6]) > 3
    it, twin = fault["learning rate far too low"]
    assert 5e-4 < last(it, "margin") < 2e-3
    assert last(it, "grad_norm") == pytest.approx(last(twin, "grad_norm"), rel=0.3)
    assert it["probes"] == []
    assert first("log-softmax in bf16", "loss") == 0.69141
    for bug, times in (("padding counted as rows", 2), ("accumulation not divided", 4)):
        it, twin = fault[bug]
        assert first(bug, "loss") == pytest.approx(times * np.log(2), abs=1e-3)
        assert it["reward"] == twin["reward"]
    it, twin = fault["no zero grad"]
    assert it["reward"] > twin["reward"]
    assert max(it["curves"]["grad_norm"]) < 3
    assert it["log"] == []


# ---------------------------------------------------------------- you are the labeller
def some_wins(rng, n=5):
    """Counts of choices, some pairs asked twice and some not at all."""
    return rng.integers(0, 3, (n, n)) * (1 - np.eye(n, dtype=int))


def test_scores_about_their_mean_and_their_errors_are_the_packages(js):
    rng = np.random.default_rng(1)
    for prior in (0.05, 0.25, 2.0):
        wins = some_wins(rng)
        fit, centre = exact.fit_bradley_terry(wins, prior), np.eye(5) - 1 / 5
        given = {"scores": fit.scores.tolist(), "covariance": fit.covariance.tolist()}
        found = js("DPO.centred", given)
        np.testing.assert_allclose(found["scores"], centre @ fit.scores, **EXACT)
        errors = np.sqrt(np.diag(centre @ fit.covariance @ centre))
        np.testing.assert_allclose(found["errors"], errors, **EXACT)
        error = js("DPO.standardError", given, 1, 3)
        assert error == pytest.approx(fit.standard_error(1, 3), abs=1e-10)


def test_circles_and_the_best_order_of_choices(js):
    rng = np.random.default_rng(2)
    for _ in range(20):
        wins = some_wins(rng)
        more = wins > wins.T
        wanted = {
            (i, j, k)
            for i, j, k in permutations(range(5), 3)
            if i < min(j, k) and more[i, j] and more[j, k] and more[k, i]
        }
        assert {tuple(three) for three in js("DPO.circles", wins.tolist())} == wanted
        orders = (sum(wins[a, b] for a, b in combinations(p, 2)) for p in permutations(range(5)))
        assert js("DPO.bestOrder", wins.tolist()) == max(orders)
    assert js("DPO.circles", [[0, 1, 0], [0, 0, 1], [1, 0, 0]]) == [[0, 1, 2]]


def test_choices_are_counted_and_second_opinions_too(js):
    choices = [[0, 1], [1, 2], [1, 0], [0, 1], [2, 1]]
    assert js("DPO.countWins", choices, 3) == [[0, 2, 0], [1, 0, 1], [0, 1, 0]]
    assert js("DPO.secondOpinions", choices) == {"asked": 3, "same": 1}


def test_dpo_on_choices_gives_the_scores_that_bradley_terry_gives_whatever_the_reference(js):
    """Where a best fit exists: the eleventh label of chapter 02 contradicts the other ten."""
    code = """(choices, logRef, loss, options, steps) => {
        const run = DPO.startTraining(logRef, choices, loss, options, 0.05);
        for (let k = 0; k < steps; k++) DPO.trainStep(run);
        const beta = options.beta || options.tau;
        return DPO.implicitRewards(DPO.logSoftmax(run.logits), DPO.logSoftmax(logRef), beta);
    }"""
    define(js, "dpoOn", code)
    wins = np.triu(np.ones((5, 5)), 1)
    choices = np.argwhere(wins).tolist()
    grammar = written("labels.js", "questions")[0]["logProbs"]
    for log_ref in ([0.0] * 5, grammar):
        found = js("dpoOn", [*choices, [4, 0]], log_ref, "dpo", {"beta": 0.5}, 4000)
        wins[4, 0] = 1
        scores = exact.fit_bradley_terry(wins).scores
        np.testing.assert_allclose(found, scores - scores.mean(), atol=1e-6)
        wins[4, 0] = 0
    span = lambda *run: np.ptp(js("dpoOn", choices, [0.0] * 5, *run))
    dpo = [span("dpo", {"beta": 0.5}, steps) for steps in (100, 200, 400)]
    ipo = [span("ipo", {"tau": 0.5}, steps) for steps in (100, 200, 400)]
    assert dpo[2] > dpo[1] + 0.5 > dpo[0] + 1  # without a contradiction it doesn't stop
    assert ipo[2] == pytest.approx(ipo[1], abs=0.02)


def test_the_pairs_and_their_order_are_chapter_02_s_and_a_saved_file_is_read_there(js, tmp_path):
    """By the package's reader, and by the chapter's own page, which then takes them for yours."""
    questions, asked = (written("labels.js", name) for name in ("questions", "asked"))
    assert len(asked) == 20
    rows = [js("DPO.labelRow", questions[pair["question"]], pair["sides"]) for pair in asked]
    file = tmp_path / "my_labels.jsonl"
    file.write_text(js("DPO.jsonLines", rows), encoding="utf-8")
    assert read_rows(file)[0] == rows
    by_prompt = lambda row: sorted(row.values())
    second = rows[0] | {"chosen": rows[0]["rejected"], "rejected": rows[0]["chosen"]}
    for more in ([], [second]):  # a second opinion, which the chapter leaves out
        file.write_text(js("DPO.jsonLines", [*rows, *more]), encoding="utf-8")
        page = make.make_labels.LabellingPage(make.make_labels.ROWS, file)
        page.earlier.click()
        labels, who = page.labels()
        assert who == "you"
        assert sorted(labels, key=by_prompt) == sorted(rows, key=by_prompt)
    shipped = [
        {"prompt": of["prompt"], "chosen": of["texts"][w], "rejected": of["texts"][l]}
        for pair in asked
        for of in [questions[pair["question"]]]
        for w, l in [pair["sides"][:: 1 - 2 * pair["shipped"]]]  # noqa: E741
    ]
    assert sorted(shipped, key=by_prompt) == sorted(make.make_labels.ROWS, key=by_prompt)


def test_a_class_s_files_are_put_together_by_the_workshop(js, tmp_path):
    found = written("labels.js", "classroom")
    rows = []
    for pair in found["asked"]:
        more = {"pair": pair["pair"], "who": "Ada L.", "book": "playground"}
        more["sheet"] = found["sheet"]
        question = found["questions"][pair["question"]]
        rows.append(js("DPO.labelRow", question, pair["sides"], more))  # always the left one
    file = tmp_path / "labels_Ada_L.jsonl"
    file.write_text(js("DPO.jsonLines", rows), encoding="utf-8")
    merged = make.make_labels.classroom.merge([file])
    assert (merged.remarks, merged.left_out) == ([], 0)
    assert list(merged.people) == ["Ada L."]
    assert [row["pair"] for row in merged.rows] == list(range(1, 31))
    sheet = make.make_labels.classroom.pairs()
    assert [row["chosen"] for row in merged.rows] == [pair["a"] for pair in sheet]


# ---------------------------------------------------------------- read a token
BROKEN_SCORES = {  # mask and way of the page -> the script of chapter 22 that does so
    ("right", ()): (None, ()),
    ("prompt", ()): ("prompt not masked", ()),
    ("end", ()): ("end of text not scored", ()),
    ("late", ()): (None, "loss mask not shifted"),
    ("padding", ()): (None, "padding scored"),
    ("right", ("unshifted",)): ("labels not shifted", ()),
    ("right", ("average",)): ("mean for sum", ()),
}


SOUND = hooks.load_script("plain_loop.py")


@pytest.mark.parametrize("way", BROKEN_SCORES, ids=lambda way: " ".join([way[0], *way[1]]))
def test_a_wrong_mask_scores_what_the_broken_script_scores(js, tiny, way):
    """Both responses of a pair, in float64, on the same log-probabilities of its tokens."""
    model, tokenizer = tiny
    model = frozen_copy(model).double()
    bug, patch = BROKEN_SCORES[way]
    if patch:
        file = data_path("gallery") / "strangers.json"
        patch = json.loads(file.read_text(encoding="utf-8"))[patch]["patch"]
    names = hooks.load_script("plain_loop.py", bug, patch)
    for row in read_a_token.pairs():
        batch, plain = (n["collate"]([row], tokenizer) for n in (names, SOUND))
        with torch.no_grad():
            wanted = torch.cat(names["score"](model, batch)).tolist()
        seen = read_a_token.read(model, plain)
        prompt, real = len(tokenizer(row["prompt"]).input_ids), plain["attention_mask"].sum(-1)
        for k in range(2):
            values = {name: seen[name][k].tolist() for name in ("logps", "itself")}
            mask = js("DPO.maskOf", way[0], prompt, real[k].item(), len(values["itself"]))
            found = js("DPO.scoreRow", values, mask, dict.fromkeys(way[1], True))
            assert found == pytest.approx(wanted[k], abs=1e-10)


def test_a_mask_too_early_scores_the_prompt_s_last_token_and_no_end(js):
    early = js("DPO.maskOf", "early", 3, 8, 10)
    assert [t for t, on in enumerate(early) if on] == [2, 3, 4, 5, 6]


def of_page(js, number, mask="right", **how):
    """What the page shows of a pair: its scores."""
    pair = written("tokens.js", "tokenPairs")[number]
    sides = ("chosen", "rejected")
    given = [
        {
            side: {name: pair[model][name][k] for name in ("logps", "itself")}
            for k, side in enumerate(sides)
        }
        for model in ("policy", "reference")
    ]
    lengths = zip(pair["real"], pair["tokens"], strict=True)
    masks = [js("DPO.maskOf", mask, pair["prompt_tokens"], n, len(ids)) for n, ids in lengths]
    return pair, js("DPO.scorePair", *given, dict(zip(sides, masks, strict=True)), 0.6, how)


@pytest.mark.parametrize("number", range(3))
def test_a_pair_s_loss_is_the_packages_and_its_tokens_are_the_shipped_models(js, tiny, number):
    found = of_page(js, number)[1]
    four = [*found["policy"], *found["reference"]]
    wanted = LOSSES["dpo"].fn(*torch.tensor(four, dtype=torch.float64)[:, None], beta=0.6)
    assert found["loss"] == pytest.approx(wanted.item(), abs=1e-10)
    assert found["margin"] == pytest.approx(0.6 * (four[0] - four[2] - four[1] + four[3]))
    row, (model, tokenizer) = read_a_token.pairs()[number], tiny
    examples = encode(tokenizer, row["prompt"], row["chosen"], row["rejected"])
    live = score_examples(Scorer(model), examples, pad_id(tokenizer))
    np.testing.assert_allclose(found["reference"], live, atol=1e-3)


def test_what_the_tokens_page_asks_for_can_be_found_on_it(js):
    def ratios(number):  # of each side: (token, its log-ratio)
        pair = written("tokens.js", "tokenPairs")[number]
        moved = np.subtract(pair["policy"]["logps"], pair["reference"]["logps"])
        start = pair["prompt_tokens"]
        sides = zip(pair["tokens"], moved, pair["real"], strict=True)
        return [list(zip(w[start:n], r[start - 1 : n - 1], strict=True)) for w, r, n in sides]

    for number in range(3):
        (_, right), (_, prompt) = of_page(js, number), of_page(js, number, "prompt")
        assert prompt["gap"] == pytest.approx(right["gap"], abs=1e-4)
        assert -60 < prompt["policy"][0] - right["policy"][0] < -30
        pair, unshifted = of_page(js, number, unshifted=True)
        tokens = np.array(pair["real"]) - pair["prompt_tokens"]
        assert (np.array(unshifted["policy"]) / tokens < -np.log(135)).all()
    (_, right), (_, cut) = of_page(js, 1), of_page(js, 1, "end")
    assert cut["ratios"][1] > 0.5 * right["ratios"][1]  # less than half of the fall is left
    assert right["ratios"][1] < -1
    assert of_page(js, 0)[1]["gap"] < 0 < of_page(js, 0, "late")[1]["gap"]
    assert max(ratios(0)[1], key=lambda token: token[1])[0] == "pleasant"
    for side in ratios(2):
        changed = [r for _, r in side if abs(r) > 0.35]
        assert len(changed) == 1
        assert changed[0] < -1


def test_seams_are_those_of_the_tokenizer_and_chapter_01_has_them(js):
    chapter = (NOTEBOOKS / "01_score_a_text.ipynb").read_text(encoding="utf-8")
    for _, before, after in make.make_tokens.SEAMS:
        assert f'(\\"{before}\\", \\"{after}\\")' in chapter


# ---------------------------------------------------------------- the files
PAGES = sorted(PLAY.glob("*.html"))
NOTEBOOKS = PLAY.parent.parent / "notebooks"
SITE = "https://dpo-from-scratch.github.io/dpo-from-scratch/"


@pytest.mark.parametrize("path", PAGES, ids=lambda p: p.stem)
def test_a_page_is_small_and_asks_nobody_for_anything(path):
    """Classic scripts and one stylesheet beside it, under 300 KB with its data."""
    page = path.read_text(encoding="utf-8")
    loaded = re.findall(r'<(?:script|link|img)\b[^>]*?\b(?:src|href)="([^"]+)"', page)
    files = [path, *((PLAY / name).resolve() for name in loaded)]
    assert all(file.parent == PLAY and file.is_file() for file in files)
    assert sum(file.stat().st_size for file in files) < 300_000
    for file in files:
        text = file.read_text(encoding="utf-8")
        for word in (
            "fetch(",
            "XMLHttpRequest",
            'type="module"',
            "import(",
            "sendBeacon",
            "@import",
        ):
            assert word not in text, f"{file.name}: {word}"
        assert not re.search(r"<(?:script|link|img|iframe)\b[^>]*https?://|url\((?!#)", text)


@pytest.mark.parametrize("path", PAGES, ids=lambda p: p.stem)
def test_a_page_has_a_language_a_title_one_heading_and_ways_back(path):
    page = path.read_text(encoding="utf-8")
    assert '<html lang="en"' in page
    assert len(re.findall(r"<title>.+</title>", page)) == len(re.findall(r"<h1\b", page)) == 1
    assert 'name="viewport"' in page
    assert '<nav aria-label="Playground"></nav>' in page  # page.js fills it
    for label in re.findall(r'<label for="([^"]+)"', page):
        assert re.search(rf'<(?:input|select)\b[^>]* id="{label}"', page), label
    assert len(re.findall(r"<(?:input|select)\b", page)) == page.count("<label ")


def test_every_page_is_in_the_bar_in_the_index_and_in_the_book_and_links_lead_to_chapters():
    listed = dict(
        re.findall(r'^    \["(\w+)", "(.+)"\],$', (PLAY / "page.js").read_text("utf-8"), re.M)
    )
    assert sorted(listed) == sorted(path.stem for path in PAGES if path.stem != "index")
    index = (PLAY / "index.html").read_text(encoding="utf-8")
    book = (NOTEBOOKS / "playground.md").read_text(encoding="utf-8")
    for name, words in listed.items():
        assert f"<h1>{words}</h1>" in (PLAY / f"{name}.html").read_text(encoding="utf-8")
        assert f'<a href="{name}.html">{words}</a>' in index
        assert f"[{words}]({SITE}play/{name}.html)" in book
    for path in PAGES:
        links = re.findall(rf'href="{SITE}([^"#]*)#?([^"]*)"', path.read_text(encoding="utf-8"))
        assert links
        for link, section in links:
            chapter = (NOTEBOOKS / link).with_suffix(".ipynb").read_text(encoding="utf-8")
            headings = re.findall(r'^ +"#+ (.+?)(?:\\n)?",?$', chapter, re.M)
            assert not section or section in [h.lower().replace(" ", "-") for h in headings]


@pytest.mark.parametrize("file", make.FILES)
def test_the_script_of_the_data_is_json(file):
    """So that no text of the world can end the script."""
    text = (PLAY / file).read_text(encoding="utf-8")
    found = re.findall(r"^DPO\.(\w+) = (.*?);$", text, re.M | re.S)
    assert [name for name, _ in found] == list(make.FILES[file])
    for name, value in found:
        assert json.loads(value), name
    assert "</" not in text
