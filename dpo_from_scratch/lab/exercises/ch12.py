"""Chapter 12: IPO's loss; which ε rests where IPO does; more labels a pair; a β for a budget."""

import math
from collections.abc import Mapping

from scipy.optimize import brentq
from scipy.special import expit, logit

from .answers import Numbers
from .ch12_ipo import IPO
from .ch12_judges import MINDS

# ---------------------------------------------------------------- 1: the ε that is IPO's τ
BETA, TAU, SURE = 0.5, 0.3, 0.9


def soft(epsilon: float, beta: float = BETA, p: float = 1.0) -> float:
    """Where cDPO rests if a share p of the labels takes the first response, nats."""
    return float(logit(p * (1 - epsilon) + (1 - p) * epsilon) / beta)


def at_settings(beta: float = BETA, tau: float = TAU, p: float = SURE) -> tuple[float, ...]:
    """ε and both moves for other settings."""
    epsilon = float(expit(-beta / (2 * tau)))
    moved = soft(epsilon, beta) - soft(epsilon, beta, p)
    return epsilon, 1 / (2 * tau) - (p - 0.5) / tau, moved


def resting() -> dict[str, float]:
    """The ε, and how far a tenth of wrong labels moves IPO and cDPO."""
    epsilon = float(expit(-BETA / (2 * TAU)))
    ipo_moves = 1 / (2 * TAU) - (SURE - 0.5) / TAU
    return {"epsilon": epsilon, "ipo_moves": ipo_moves,
            "cdpo_moves": soft(epsilon) - soft(epsilon, p=SURE)}  # fmt: skip


def resting_wrongs(answer: Mapping[str, float]) -> list:
    """ε first; then the two moves."""
    (e, ipo, cdpo), target = answer.values(), 1 / (2 * TAU)
    of_tau = [(f"τ = {t}; IPO's is 0.3", at_settings(tau=t)) for t in (0.1, 0.5, 0.6, 1.0)]
    of_beta = [(f"β = {b}; cDPO's is 0.5", at_settings(b)) for b in (0.1, 0.3, 0.6, 1.0, 2.0)]
    of_p = [
        (f"p = {p}; a tenth of the labels is wrong", at_settings(p=p))
        for p in (0.1, 0.2, 0.8, 0.95, 0.99)
    ]
    every, swapped = tuple(answer), at_settings(TAU, BETA)
    at_ipo, at_cdpo = (SURE - 0.5) / TAU, soft(e, p=SURE)
    both, dpo = ("ipo_moves", "cdpo_moves"), float(logit(SURE)) / BETA
    return [
        (every, swapped, "β and τ have changed places: β is 0.5, τ is 0.3."),
        *((every, found, f"that is for {what}.") for what, found in of_tau + of_beta),
        *((both, found[1:], f"the moves are those for {what}.") for what, found in of_p),
        (both, (BETA * ipo, BETA * cdpo), "those are moves of the margin βΔ; Δ's are asked."),
        (both, (1 - SURE, (1 - SURE) * (1 - 2 * e)), "those are moves of a share of labels; the "
         "resting places' moves are asked, in nats."),
        (both, (at_ipo / target, at_cdpo / target), "those are shares of the first place of rest "
         "that remain; asked are moves, in nats."),
        (both, target, "that is where both rest on sure labels; asked is how far they moved."),
        ("epsilon", (SURE - expit(BETA * at_ipo)) / (2 * SURE - 1),
         "ε: there the two rest alike at p = 0.9; asked is that of labels that never contradict."),
        ("epsilon", 1 - e, "ε: that is the share of labels that cDPO believes; ε is the other."),
        ("epsilon", expit(-target), "ε: β is left out of the margin, or IPO's target is another."),
        ("epsilon", expit(-target / BETA), "ε: β divides Δ; a margin is β times Δ."),
        ("epsilon", expit(-BETA / TAU), "ε: IPO rests at 1/(2τ), not at 1/τ."),
        *(("epsilon", expit(-BETA * at), "ε: τ stands above; IPO rests at 1/(2τ).")
          for at in (TAU, TAU / 2, 2 * TAU)),
        ("epsilon", math.exp(-BETA * target), "ε: a logit has (1 − ε)/ε in it, not only 1/ε."),
        ("epsilon", 1 - math.exp(-BETA * target), "ε: a logit is log (1 − ε)/ε, not −log(1 − ε)."),
        ("epsilon", BETA * target, "ε: that is the margin; ε has this margin as its logit."),
        ("epsilon", target, "ε: that is where IPO rests; ε is a probability below one half."),
        (every, (0.5 - e, ipo, cdpo), "ε: that is how far ε is below one half."),
        ("epsilon", 0.5 - BETA * target / 4, "ε: σ is taken for a straight line."),
        ("epsilon", 1 - SURE, "ε: a tenth is the share of wrong labels; ε comes from β and τ."),
        (both, (at_ipo, at_cdpo), "those are the places of rest; asked is how far they moved."),
        (both, (-ipo, -cdpo), "both moves have the sign turned: asked is how far, above 0."),
        (both, (cdpo, ipo), "the two moves have changed places."),
        (both, (ipo / target, cdpo / target), "those are shares of the place of rest; asked are "
         "nats."),
        ("ipo_moves", at_ipo, "IPO: that is its new place of rest; asked is how far it moved."),
        ("cdpo_moves", at_cdpo, "cDPO: that is its new place of rest; asked is how far it moved."),
        ("ipo_moves", 0.0, "IPO: a tenth of wrong labels moves it, too."),
        ("ipo_moves", (1 - SURE) / 2 / TAU, "IPO: either wrong labels only fall away (each asks "
         "for the opposite target), or β multiplies the move."),
        ("ipo_moves", target - float(logit(SURE)) / (2 * TAU), "IPO: no logit is in it; its place "
         "of rest is (p − ½)/τ."),
        ("ipo_moves", target - SURE / TAU, "IPO: p stands where p − ½ should."),
        ("ipo_moves", ipo / target, "IPO: that is the move as a share; nats are asked."),
        ("ipo_moves", cdpo, "IPO: that is cDPO's move again."),
        ("ipo_moves", 2 * (1 - SURE) / TAU, "IPO: the target is 1/(2τ), and yours moves by twice "
         "as much."),
        ("cdpo_moves", BETA * cdpo, "cDPO: that is the margin's move; asked is "
         "Δ's, in nats."),
        ("cdpo_moves", abs(soft(e) - dpo), "cDPO: that is DPO with a tenth wrong; cDPO's own ε "
         "comes on top."),
        ("cdpo_moves", dpo, "cDPO: that is DPO with a tenth wrong; cDPO's own ε comes on top."),
        ("cdpo_moves", soft(e) - soft(e + 1 - SURE), "cDPO: the two kinds of flips are added up; "
         "some labels are flipped twice."),
        ("cdpo_moves", soft(e) - soft(1 - (1 - e) * SURE), "cDPO: a label that is flipped twice "
         "is right again."),
        ("cdpo_moves", cdpo / BETA, "cDPO: β divides twice."),
        ("cdpo_moves", BETA**2 * cdpo, "cDPO: β multiplies the logit; it divides it."),
        ("cdpo_moves", (1 - SURE) * (1 - 2 * e) / (e * (1 - e)) / BETA, "cDPO: that goes along the "
         "logit's tangent; the logit bends."),
        ("cdpo_moves", cdpo / target, "cDPO: that is the move as a share; nats are asked."),
        ("cdpo_moves", soft(e) - soft(1 - SURE), "cDPO: that goes from your ε to an ε of a tenth; "
         "the wrong labels come on top of ε."),
        ("cdpo_moves", ipo, "cDPO: that is IPO's move again; a logit is no "
         "straight line."),
    ]  # fmt: skip


def from_own_epsilon(found: Mapping[str, float], answer: Mapping[str, float]) -> str:
    """cDPO's move may follow from a wrong ε."""
    e = found["epsilon"]
    if not 0 < e < 0.5:
        return "ε: it must lie between 0 and one half; look for the one whose logit fits."
    moved = soft(e) - soft(e, p=SURE)
    if abs(e / answer["epsilon"] - 1) > 0.01 and abs(moved - found["cdpo_moves"]) < 0.005:
        return "cDPO's move follows from your ε; that ε doesn't rest where IPO does."
    if abs(e / answer["epsilon"] - 1) > 0.015:
        return f"with your ε cDPO rests at {soft(e):.3g}, and IPO at {1 / (2 * TAU):.3g}."
    return ""


WHICH = Numbers(
    resting,
    resting_wrongs,
    rtol=0.015,
    tell=from_own_epsilon,
    shows="Either can stand in for the other on sure labels; a tenth of wrong ones moves cDPO a "
    "little more.",
)  # fmt: skip


# ---------------------------------------------------------------- 3: a β for a budget
TIME, BUDGET = 50_000.0, 5.0


def rests(beta: float, time: float) -> float:
    """Δ of the law after this time, nats: e^m + m = 1 + β²t with m = βΔ."""
    return brentq(lambda m: math.exp(m) + m - 1 - beta**2 * time, 0, 40) / beta


def budget() -> dict[str, float]:
    """β for a Δ of 5, Δ after four times as long, and IPO's τ for 5."""
    beta = brentq(lambda b: rests(b, TIME) - BUDGET, 0.5, 10)
    return {"beta": beta, "delta": rests(beta, 4 * TIME), "tau": 1 / (2 * BUDGET)}


def budget_wrongs(answer: Mapping[str, float]) -> list:
    """β; then what is got from the right β; then τ."""
    b, d = answer["beta"], answer["delta"]
    solve = lambda law, high=10.0: brentq(law, 0.3, high)
    beta_after = lambda t: solve(lambda x: math.exp(5 * x) + 5 * x - 1 - x**2 * t)
    flat, log4 = BUDGET / TIME * 2, math.log(4)
    return [
        (("beta", "delta"), (flat, 4 * BUDGET), "β: the law has two for a Δ of 5. This one is so "
         "small that Δ still grows in a straight line; a brake is asked, above 0.5."),
        ("beta", flat, "β: the law has two for a Δ of 5. This one is so small that Δ still grows "
         "in a straight line; a brake is asked, above 0.5."),
        *(("beta", beta_after(k * TIME), f"β: with this one Δ is 5 after {k:g} t; asked is t.")
          for k in (0.1, 0.25, 2, 4, 10)),
        ("beta", 1 / b, "β: that is upside down."),
        ("beta", math.log10(TIME) / 5, "β: that is a logarithm to base 10, and β² is left out."),
        ("beta", solve(lambda x: math.exp(5 / x) + 5 / x - 1 - x**2 * TIME), "β: the margin m is "
         "β times Δ, not Δ over β."),
        ("beta", solve(lambda x: math.exp(5 * x) + 5 * x - 1 - x * TIME**2), "β: the square is "
         "β's, not t's."),
        *(("delta", rests(b, k * TIME), f"Δ: that is after {k:g} t; asked is 4 t.")
          for k in (0.25, 2, 3, 8, 10, 16)),
        ("delta", rests(4 * b, TIME), "Δ: β is multiplied by 4; the time is."),
        ("delta", 4 * rests(4 * b, TIME), "Δ: β is multiplied by 4; the time is."),
        ("delta", BUDGET * log4, "Δ: log 4 multiplies 5; it is added, over β."),
        ("delta", log4 / b, "Δ: that is by how much it grows; asked is where it is then."),
        ("delta", BUDGET * 4**0.25, "Δ: a power of 4 multiplies 5; Δ grows as a logarithm."),
        ("delta", BUDGET + math.log10(4) / b, "Δ: the logarithm is to base 10; ours are natural."),
        ("delta", BUDGET + 2 / b, "Δ: the logarithm is to base 2; ours are natural."),
        ("delta", math.exp(b * d), "Δ: that is e to the margin."),
        ("delta", math.log(4 * TIME) / b, "Δ: β² is left out beside t."),
        ("tau", 1 / (BUDGET * b), "τ: β has no part in it; IPO's target is for Δ."),
        ("tau", b / BUDGET, "τ: β has no part in it; IPO's target is for Δ."),
        ("tau", 1 / (2 * b * d), "τ: that is for the later margin; IPO's Δ should end at 5."),
        ("tau", expit(-BUDGET), "τ: that is a probability, σ(−5); ask where IPO rests."),
        ("tau", 0.4 / BUDGET, "τ: that is for labels of which a tenth is wrong."),
        ("tau", TIME, "τ: that is t; ask where IPO rests."),
        ("beta", solve(lambda x: math.exp(5 * x) + 5 * x - 1 - x * TIME), "β: β goes in once "
         "beside t; the law has its square."),
        ("beta", solve(lambda x: math.exp(x) + x - 1 - x**2 * TIME, 20.0), "β: that lets Δ end at "
         "1; yours leaves the 5 out of the exponent."),
        ("beta", math.sqrt((math.exp(5) + 4) / TIME), "β: the margin is 5 there; asked is a Δ of "
         "5, and the margin is βΔ."),
        ("beta", math.log(TIME) / 5, "β: t is multiplied by β² in the law. (Or is it c/β? The "
         "table above shows that to be off.)"),
        ("beta", 5.0, "β: 5 is the Δ that you want."),
        ("beta", 5 * b, "β: that is the margin; divide it by Δ."),
        ("delta", BUDGET, "Δ: it goes on growing; nothing in DPO's loss ends."),
        ("delta", 4 * BUDGET, "Δ: four times the time is not four times the way: it grows as a "
         "logarithm."),
        ("delta", 2 * BUDGET, "Δ: it grows as the logarithm of t, not as its root."),
        ("delta", BUDGET + math.log(4), "Δ: it grows by about log 4 over β."),
        ("delta", d - BUDGET, "Δ: that is by how much it grows; asked is where it is then."),
        ("delta", b * d, "Δ: that is the margin; divide it by β."),
        ("delta", rests(2 * b, TIME), "Δ: the margin is divided by 2β; β is the same as before."),
        ("delta", rests(b, 5 * TIME), "Δ: that is 4 t more, so 5 t; asked is 4 t."),
        ("delta", BUDGET + math.log(4) / b**2, "Δ: log 4 is divided by β twice."),
        ("delta", BUDGET + b * math.log(4), "Δ: log 4 is multiplied by β; a large β is a brake."),
        ("tau", 1 / BUDGET, "τ: IPO rests at 1/(2τ), not at 1/τ."),
        ("tau", 2 * BUDGET, "τ: that is upside down."),
        ("tau", BUDGET / 2, "τ: IPO rests at 1/(2τ), not at 2τ."),
        ("tau", BUDGET, "τ: that is Δ; IPO rests at 1/(2τ)."),
        ("tau", 1 / (2 * d), "τ: that is for the later Δ; IPO should end at 5."),
        ("tau", 1 / (2 * BUDGET * b), "τ: β has no part in it; IPO's target is for Δ, not for the "
         "margin."),
        ("tau", b / (2 * BUDGET), "τ: β has no part in it; IPO's target is for Δ."),
        ("tau", b, "τ: τ is not β; ask where IPO rests."),
    ]  # fmt: skip


def from_own(found: Mapping[str, float], answer: Mapping[str, float]) -> str:
    """What the law says of the β, Δ or τ that was handed in."""
    b, d, tau = found.values()
    off = {name: abs(found[name] / answer[name] - 1) > BRAKE.rtol for name in found}
    if off["beta"] and 0.05 < b < 30:
        fits = " (4 t fits it.)" if abs(rests(b, 4 * TIME) - d) <= 0.03 else ""
        return f"with your β the law's Δ is {rests(b, TIME):.3g} after t.{fits}"
    if off["delta"] and not off["beta"] and 0 < d < 10:
        times = (math.exp(b * d) + b * d - 1) / b**2 / TIME
        return f"Δ: with your β the law reaches it after {times:.3g} t." if times < 1e3 else ""
    if off["tau"] and tau > 0 and not off["beta"] and not off["delta"]:
        return f"τ: with yours IPO rests at {1 / (2 * tau):.3g}."
    return ""


BRAKE = Numbers(
    budget,
    budget_wrongs,
    rtol=0.003,
    tell=from_own,
    shows="A β is a brake for one length of training; τ is a place, whatever the length.",
)  # fmt: skip

EXERCISES = {"12.0": IPO, "12.1": WHICH, "12.2": MINDS, "12.3": BRAKE}
