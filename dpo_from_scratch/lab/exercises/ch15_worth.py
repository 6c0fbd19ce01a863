"""Chapter 15: what a label is worth about the texts that you care about."""

from functools import cache

import numpy as np

from ... import world
from .answers import Numbers

OTHER, GRAMMAR, STAR = "the other author", "the grammar", "π*"


@cache
def errors() -> dict[tuple[str, str], float]:
    """The chapter's standard errors: (labels on pairs of, about texts of) -> error."""
    rng, words, prompt = np.random.default_rng(0), world.vocabulary(), world.prompts("test")[0]
    authors = {
        OTHER: world.World(world.GLOOMY).policy(prompt),
        GRAMMAR: world.REVIEWS.policy(prompt),
        STAR: world.REVIEWS.policy(prompt, 0.6),
    }
    place, pairs, found = {w: i for i, w in enumerate(words)}, {}, {}
    for name, policy in authors.items():
        texts = policy.sample(4000, rng)
        number = [np.bincount([place[w] for w in t.split()], minlength=len(words)) for t in texts]
        number, reward = np.array(number, float), world.rewards(prompt, texts)
        pairs[name] = number[::2] - number[1::2], reward[::2] - reward[1::2]
    for writer, (d, gap) in pairs.items():
        curve = 1 / (2 + 2 * np.cosh(gap))
        information = 2048 * d.T @ (d * curve[:, None]) / len(d)
        covariance = np.linalg.inv(information + np.eye(len(words)))
        for about, (e, _) in pairs.items():
            found[writer, about] = float(np.sqrt(((e @ covariance) * e).sum(1).mean()))
    return found


ONE, OWN = "for the grammar's", "for π*'s own"


def _worth() -> dict[str, float]:
    e = errors()
    return {
        name: (e[OTHER, STAR] / e[who, STAR]) ** 2 for name, who in ((ONE, GRAMMAR), (OWN, STAR))
    }


def _worth_wrongs(answer) -> list:
    e, told = errors(), []
    for name, who in ((ONE, GRAMMAR), (OWN, STAR)):
        square = lambda a, b: (e[a] / e[b]) ** 2
        told += [
            (name, answer[name] ** 0.5,
             "that is the ratio of the errors: labels go with more than that."),
            (name, answer[name] ** -1, "the ratio is upside down: whose labels are worth less?"),
            (name, answer[name] ** -0.5, "upside down, and not squared."),
            (name, e[OTHER, STAR] - e[who, STAR], "that is the difference of the errors."),
            (name, (e[OTHER, STAR] / e[who, STAR]) ** 4, "the ratio is squared twice."),
            (name, answer[name] - 1, "that is how many more; asked is how many."),
            (name, e[OTHER, STAR], "that is an error; asked is a number of labels."),
            (name, e[who, STAR], "that is an error; asked is a number of labels."),
            (name, e[OTHER, STAR] ** 2 - e[who, STAR] ** 2,
             "that is a difference of squared errors; divide them."),
            (name, square((OTHER, OTHER), (who, who)),
             "each error is about the writer's own texts; both are to be about π*'s."),
            (name, square((STAR, OTHER), (OTHER, STAR)),
             "writer and texts have changed places in one of the errors."),
            (name, e[OTHER, OTHER] / e[who, OTHER],
             "about the other author's texts, and not squared."),
            (name, e[STAR, OTHER] / e[STAR, who], "a row was read, and nothing is squared."),
            (name, 2048 / answer[name], "that is for 2,048 labels, and upside down."),
            (name, 2048 * answer[name], "that is for 2,048 labels; asked is for one."),
            (name, square((STAR, OTHER), (STAR, who)),
             "a row was read: who wrote the pairs stands in the rows, the texts in the columns."),
            (name, square((OTHER, OTHER), (who, OTHER)),
             "that is about the other author's texts; asked is about π*'s."),
            (name, square((OTHER, GRAMMAR), (who, GRAMMAR)),
             "that is about the grammar's texts; asked is about π*'s."),
            (name, square((OTHER, STAR), (OTHER, OTHER)),
             "both errors are of the other author's labels: compare two kinds of labels."),
            (name, 1.0, "as many: but the table says that labels differ in worth."),
        ]  # fmt: skip
    told.append((OWN, (e[GRAMMAR, STAR] / e[STAR, STAR]) ** 2,
                 "that is the grammar's labels for one on π*'s own."))  # fmt: skip
    return told


WORTH = Numbers(
    _worth,
    _worth_wrongs,
    shows="A label is worth most on texts like those that you care about.",
    rtol=0.03,
)
