"""The playground's numbers in words, and what its pages say of where a loss stops.

page.js is run by V8 with as much of a browser as it needs before it draws anything.
"""

import json
import math
import random
import re
from itertools import product

import numpy as np
import pytest
from test_play import PLAY, WORLD, define, of_page

BROWSER = """
globalThis.matchMedia = () => ({ matches: false, addEventListener() {} });
globalThis.document = {
    documentElement: { dataset: {} }, getElementById: () => null, addEventListener() {},
};
0"""


@pytest.fixture(scope="module")
def words(js):
    """A formatter of page.js by its name."""
    js("eval", BROWSER)
    js("eval", (PLAY / "page.js").read_text(encoding="utf-8") + "; 0")
    return lambda name, *arguments: js(f"DPO.page.{name}", *arguments)


DIGITS = "⁰¹²³⁴⁵⁶⁷⁸⁹"


def read(text):
    """The number that a reader takes from a text."""
    text = text.replace("−", "-").replace(" %", "e-2")
    raised = re.fullmatch(rf"([+-])([1-9])·10⁻([{DIGITS}]+)", text)
    if raised:
        return float(f"{raised[1]}{raised[2]}e-" + "".join(str(DIGITS.index(d)) for d in raised[3]))
    return float(text)


def some_numbers():
    """Of all sizes, and those just below a power of ten, where rounding adds a digit."""
    chance = random.Random(0)
    yield from (10 ** chance.uniform(-60, 2) for _ in range(2000))
    yield from (m * 10.0**-k for m in (0.94, 0.95, 0.96, 0.999, 1, 1.04) for k in range(1, 60))


def test_a_push_is_one_digit_times_a_power_of_ten_and_never_ten_times_one(words):
    """9.6e-23 is 1·10⁻²², no 10·10⁻²³."""
    assert words("push", 9.6e-23) == "+1·10⁻²²"
    assert words("push", -9.6e-5) == "−0.0001"
    assert words("push", 9.6e-4) == "+0.001"
    assert words("push", 0.36) == "+0.36"
    assert words("push", 0) == "0"
    for x in some_numbers():
        for sign in (1, -1):
            text = words("push", sign * x)
            assert text.startswith("+" if sign > 0 else "−")
            size = 10.0 ** math.floor(math.log10(x))
            half = 0.00501 if x >= 0.005 else 0.5001 * size  # of the last digit shown
            assert abs(read(text) - sign * x) <= half, text
            assert re.fullmatch(rf"[+−](\d+\.\d\d|0\.000?\d|[1-9]·10⁻[{DIGITS}]+)", text), text


def test_numbers_shares_and_signs_are_read_as_what_they_are(words):
    for x in some_numbers():
        for digits in (0, 1, 2, 3, 5):
            assert abs(read(words("number", -x, digits)) + x) <= 0.50001 * 10.0**-digits
            assert not re.fullmatch(r"[+−]0(\.0+)?", words("number", -x, digits))
            assert not re.fullmatch(r"[+−]0(\.0+)?", words("signed", -x, digits))
        if x <= 1:
            text = words("percent", x)
            assert abs(read(text) - x) <= (0.005 if x >= 0.0995 else 0.0005), text
            assert text == "100 %" or len(re.sub(r"\D", "", text).lstrip("0")) <= 2, text


def test_the_numbers_at_an_axis_differ_from_each_other(words):
    for x in some_numbers():
        if x < 1e-5:  # narrower ranges than that are widened
            continue
        axis = words("range", -x / 3, x)
        texts = [words("number", tick, axis["digits"]) for tick in axis["ticks"]]
        assert len(set(texts)) == len(texts), texts
        assert [read(text) for text in texts] == pytest.approx(axis["ticks"])


# ---------------------------------------------------------------- where a loss stops
def plane_losses(js):
    """The losses of the plane with their options, taken from its script."""
    page = (PLAY / "plane.js").read_text(encoding="utf-8")
    table = page[page.index("const withBeta") : page.index("const state =")]
    code = f"""(beta, epsilon) => {{ {table}
        return Object.entries(LOSSES).map(([name, [, registered, options]]) =>
            [name, registered, options(beta, epsilon)]); }}"""
    define(js, "planeLosses", code)
    return lambda beta, epsilon: js("planeLosses", beta, epsilon)


NEVER = ["dpo", "robust_dpo", "apo_zero", "apo_down", "bco_pair", "dpop", "f_dpo", "chi_po"]
ENDS = ["ipo", "cdpo", "exo", "hinge", "sppo", "nca", "discopop"]
SETTINGS = list(product((0.1, 0.5, 1, 2), (0.01, 0.1, 0.45)))


def pushes(js, registered, options, points):
    define(js, "pushes", "(n, o, points) => points.map(([w, l]) => DPO.push(n, w, l, o))")
    return np.array(js("pushes", registered, options, points))


GRID = [[w / 4, l / 4] for w in range(-16, 17) for l in range(-16, 17)]  # noqa: E741


def test_every_loss_of_the_plane_either_stops_or_never_does(js):
    names = {registered for _, registered, _ in plane_losses(js)(1, 0.1)}
    assert names == {*NEVER, *ENDS}
    index = js("eval", "JSON.stringify(Object.keys(DPO.registry))")
    assert names <= set(json.loads(index))


@pytest.mark.parametrize(("beta", "epsilon"), SETTINGS)
def test_a_loss_without_a_goal_pushes_the_rejected_reply_down_everywhere(js, beta, epsilon):
    """A point of rest would need a push of nought on both; NCA holds only the chosen one."""
    for name, registered, options in plane_losses(js)(beta, epsilon):
        goal = js("DPO.goal", registered, options)
        assert (goal is None) == (registered in NEVER), name
        if registered in NEVER or registered == "nca":
            assert pushes(js, registered, options, GRID)[:, 1].max() < 0, name
        if registered == "nca":
            at = [[goal["chosen"] + d, l] for d in (-0.1, 0, 0.1) for l in (-4, 4)]  # noqa: E741
            found = pushes(js, registered, options, at)[:, 0]
            assert found[:2].min() > 0 > found[4:].max()
            np.testing.assert_allclose(found[2:4], 0, atol=1e-12)
        if registered == "robust_dpo":  # its push does not even fade
            least = beta * epsilon / (1 - 2 * epsilon)
            assert pushes(js, registered, options, [*GRID, [99, -99]])[:, 0].min() >= least - 1e-12


@pytest.mark.parametrize(("beta", "epsilon"), SETTINGS)
def test_a_loss_with_a_goal_pushes_towards_it_and_rests_there(js, beta, epsilon):
    for name, registered, options in plane_losses(js)(beta, epsilon):
        if registered not in ENDS or registered == "nca":
            continue
        goal, near = js("DPO.goal", registered, options), 0.01 / beta
        if registered == "sppo":
            at = [goal["chosen"], goal["rejected"]]
            found = pushes(js, registered, options, [at, [at[0] - 1, at[1] + 1]])
            np.testing.assert_allclose(found[0], 0, atol=1e-12)
            assert found[1, 0] > 0 > found[1, 1]
            continue
        gaps = [goal["gap"] + d for d in (-near, 0, near)]
        before, at, after = pushes(js, registered, options, [[g / 2, -g / 2] for g in gaps])
        assert before[0] > 0 > before[1], name
        np.testing.assert_allclose(at, 0, atol=1e-9)
        if "up" in goal:
            assert (after == 0).all()
        else:
            assert after[0] < 0 < after[1], name
        if "below" in goal:
            edge = goal["below"]
            inside, outside = pushes(js, registered, options, [[edge - near, 0], [edge + near, 0]])
            assert inside[0] < 0 < outside[0]
            assert goal["gap"] < 0 < edge
            far = [[edge + near + d, 0] for d in range(40)]
            assert pushes(js, registered, options, far)[:, 0].min() > 0


def test_fifty_steps_at_a_small_beta_are_short_and_go_on(js):
    """Of DPO: the push is β σ(-m), half of β in the middle, and a smaller β comes less far."""
    ends = {}
    for beta in (0.5, 0.1):
        options = {"beta": beta}
        assert js("DPO.push", "dpo", 0, 0, options) == pytest.approx([beta / 2, -beta / 2])
        pushed = beta / (1 + math.exp(beta * 1.5))
        assert js("DPO.push", "dpo", 1, -0.5, options) == pytest.approx([pushed, -pushed])
        path = js("DPO.descend", "dpo", [0, 0], options, 5000, 0.1, 0, 1)
        ends[beta] = [path[k][0] - path[k][1] for k in (50, 500, 5000)]
        assert ends[beta] == sorted(ends[beta])
    assert ends[0.1][0] < ends[0.5][0]
    assert ends[0.1][2] > ends[0.5][2] > ends[0.5][1]  # in the end the small β is further out


# ---------------------------------------------------------------- where probability goes
def test_the_page_counts_judgements_and_finds_the_bad_reply_that_grew_most(js):
    log_ref, rewards = np.array(WORLD["logProbs"]["house"]), np.array(WORLD["rewards"])
    pairs = js("DPO.samplePairs", np.exp(log_ref).tolist(), WORLD["rewards"], 512, 0, 3)
    counts = np.array(js("DPO.judged", pairs, 40))
    assert counts.sum() == 2 * len(pairs)
    assert counts[:, 0].tolist() == np.bincount(np.array(pairs)[:, 0], minlength=40).tolist()
    code = """(pairs, steps) => {
        const run = DPO.startTraining(DPO.world.logProbs.house, pairs, "dpo", {beta: 0.5}, 0.05);
        for (let k = 0; k < steps; k++) DPO.trainStep(run);
        return [run.logits, DPO.measure(run, DPO.world.rewards)];
    }"""
    define(js, "logitsAfter", code)
    logits, end = js("logitsAfter", pairs, 300)
    logits = np.array(logits)
    probs = np.exp(logits - np.logaddexp.reduce(logits))
    grown, limit = probs - np.exp(log_ref), float(np.exp(log_ref) @ rewards)
    found = js("DPO.grewMost", np.log(probs).tolist(), log_ref.tolist(), WORLD["rewards"], limit)
    assert found == np.where(rewards < limit, grown, -1).argmax()
    assert counts[found].tolist() == [2, 0]  # chosen twice, never rejected
    assert rewards[found] < -1
    unknown = counts.sum(1) == 0
    assert unknown.sum() == 7
    np.testing.assert_allclose(logits[unknown], log_ref[unknown], atol=1e-9)  # left as they were
    assert probs[unknown].sum() < np.exp(log_ref)[unknown].sum()
    assert end["rejected"] < end["chosen"] < 0
    nobody = js("DPO.grewMost", log_ref.tolist(), log_ref.tolist(), WORLD["rewards"], limit)
    assert nobody == -1


def test_a_negative_log_ratio_of_the_optimum_is_a_reward_below_beta_log_z(js):
    log_ref, rewards = WORLD["logProbs"]["house"], np.array(WORLD["rewards"])
    best = js("DPO.gibbs", log_ref, WORLD["rewards"], 0.5)
    ratios = np.array(best["logProbs"]) - np.array(log_ref)
    np.testing.assert_allclose(0.5 * ratios, rewards - 0.5 * best["logZ"], atol=1e-9)
    assert ((ratios < 0) & (rewards > 0)).any()


def test_a_mask_off_by_one_shows_in_the_tokens_and_what_is_in_both_scores_cancels(js):
    for kind in ("late", "early"):
        right, wrong = (js("DPO.maskOf", name, 3, 8, 10) for name in ("right", kind))
        differ = [t for t in range(10) if right[t] != wrong[t]]
        assert differ == ([3, 8] if kind == "late" else [2, 7])
    for number, kind in product(range(3), ("prompt", "late", "early", "end")):
        (_, right), (_, wrong) = of_page(js, number), of_page(js, number, kind)
        moved = {name: np.subtract(wrong[name], right[name]) for name in ("policy", "ratios")}
        assert (np.abs(moved["ratios"]) < 0.25 * np.abs(moved["policy"])).all()  # says the page
        if kind == "prompt":
            assert wrong["gap"] == pytest.approx(right["gap"], abs=1e-10)
