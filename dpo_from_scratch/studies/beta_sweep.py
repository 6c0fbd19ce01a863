"""Chapter 07: DPO with the preset at eight values of beta, and best-of-n; three seeds each.

At some betas, what the policy writes is measured once more in two parts: texts that the grammar
can write, and broken ones. About twenty-five minutes on one core.
"""

import numpy as np

from .. import world
from ..data import data_path, read_rows
from ..lab.evaluation import best_of_n, best_of_n_kl, implicit_and_true, standard_error
from ..lab.studies import Study, Trained, train_tiny
from ..models import pad_id
from ..sampling import sample
from ..scoring import log_ratios

BETAS = (0.05, 0.1, 0.2, 0.35, 0.6, 1.0, 2.0, 4.0)
SIZES = (1, 2, 4, 8, 16, 32)
APART = (0.1, 0.35, 0.6)  # betas whose texts are taken apart
DRAWS = 2688  # samples for each prompt: 84 groups of 32

study = Study(__file__, "DPO at eight betas, and best-of-n")


def trained(beta: float, seed: int) -> Trained:
    """A run on the shipped pairs."""
    rows, _ = read_rows(data_path("reviews_pairs_train.jsonl"))
    return train_tiny(rows, beta=beta, seed=seed)


@study.points([{"beta": beta, "seed": seed} for seed in range(3) for beta in BETAS])
def sweep(beta: float, seed: int) -> dict:
    """All measures of a run at one beta, and three of its texts."""
    found = trained(beta, seed)
    drawn = sample(
        found.policy, found.tokenizer, world.prompts("test")[:3], seed=100, stream="batch"
    )
    measures = found.last("loss", "accuracy", "margin") | found.evaluation(seed, samples=2016)
    return measures | {"texts": [s.text for s in drawn]}


@study.points([{"best_of_n": True, "seed": seed} for seed in range(3)])
def best_of(best_of_n: bool, seed: int) -> dict:
    """The best of each n samples of the reference, by two judges.

    One is the true reward, the other the implicit reward of a DPO policy.
    """
    found = trained(0.6, seed)
    asked = [prompt for prompt in world.prompts("test") for _ in range(DRAWS)]
    drawn = sample(found.reference, found.tokenizer, asked, seed=seed, stream="batch")
    true = np.array([world.reward(s.prompt, s.text) for s in drawn])
    examples, pad = [s.example for s in drawn], pad_id(found.tokenizer)
    implicit = log_ratios(found.policy, found.reference, examples, pad)
    judges = {"true reward": true, "implicit reward": implicit}
    rows = [row_of(n, name, true, scores) for n in SIZES for name, scores in judges.items()]
    return {"rows": rows}


def row_of(n: int, judge: str, true: np.ndarray, scores: np.ndarray) -> dict:
    """KL and true reward of best-of-n with these scores."""
    kept = true[best_of_n(scores, n)]
    worth = {"true_reward": float(kept.mean()), "se": standard_error(kept)}
    return {"n": n, "judge": judge, "kl": best_of_n_kl(n)} | worth


@study.points([{"taken_apart": beta, "seed": seed} for beta in APART for seed in range(3)])
def take_apart(taken_apart: float, seed: int) -> dict:
    """Broken and whole texts of one policy, and its log-ratios on the texts of the test pairs."""
    found = trained(taken_apart, seed)
    asked, tests = world.prompts("test"), read_rows(data_path("reviews_pairs_test.jsonl"))[0]
    asked = [asked[i % len(asked)] for i in range(2016)]
    drawn = sample(found.policy, found.tokenizer, asked, seed=seed, stream="batch")
    examples, pad = [s.example for s in drawn], pad_id(found.tokenizer)
    log_ratio = log_ratios(found.policy, found.reference, examples, pad)
    true = np.array([world.reward(s.prompt, s.text) for s in drawn])
    whole = np.array([world.REVIEWS.is_grammatical(s.prompt, s.text) for s in drawn])
    on_pairs, _ = implicit_and_true(found.policy, found.reference, found.tokenizer, tests)
    return parts(log_ratio, true, whole) | {
        "chosen_log_ratio": float(on_pairs[:, 0].mean()),
        "rejected_log_ratio": float(on_pairs[:, 1].mean()),
    }


def parts(log_ratio: np.ndarray, true: np.ndarray, whole: np.ndarray) -> dict:
    """What whole and broken texts add to the KL, and what each kind earns.

    A kind's part of the KL is its share of the N samples times its mean log-ratio: the two parts
    add up to the KL. log_ratio, true (N,), of both kinds at least one; whole (N,) bool.
    """
    out = {"kl": float(log_ratio.mean()), "true_reward": float(true.mean())}
    for name, kind in (("whole", whole), ("broken", ~whole)):
        out |= {
            f"{name}_share": float(kind.mean()),
            f"{name}_log_ratio": float(log_ratio[kind].mean()),
            f"{name}_reward": float(true[kind].mean()),
            f"{name}_kl": float(log_ratio[kind].sum() / len(kind)),
        }
    return out


if __name__ == "__main__":
    study.main()
