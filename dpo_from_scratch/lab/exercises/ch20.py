"""Chapter 20: a preference from ratings, people who can tell, and what a rating is worth."""

import numpy as np

from .answers import Numbers
from .ch20_people import PEOPLE, RATINGS, of_people, person_by_person
from .functions import Function


# ---------------------------------------------------------------- 20.0: the key cell
def preference(a, b, *, tie=0.5, over="people", way=1):
    """Share of people who rate A above B, from ratings (n,) in the same order; a tie is a half."""
    above = way * np.sign(np.subtract(a, b))
    told = np.where(above == 0, tie, above > 0)
    if over == "decided":
        return float(told[above != 0].mean())
    return float(told.sum() if over == "sum" else told.mean())


def all_with_all(a, b):
    """Each rating of A with each of B."""
    return float((np.sign(np.subtract.outer(a, b)).mean() + 1) / 2)


def of_means(a, b):
    """Which mean is higher."""
    return float((np.sign(np.mean(a) - np.mean(b)) + 1) / 2)


RATED = [
    {"a": [3, 1, 0, -1, 2, 0, 4], "b": [2, 1, 2, -2, 2, -3, -1]},
    {"a": [1, -1, -4, 0, -2], "b": [0, 1, -2, 0, -1]},
    {"a": [2, 3, 2, 1, 1, 3, -4, 0, -3], "b": [1, 3, -1, 1, -2, 2, 0, 0, -4]},
    {"a": [1, -2, 3, -1, 0], "b": [0, 2, 1, 2, -1]},
    {"a": [1, 2, 1, 0, -4, -2, 1, -4], "b": [0, 1, 0, -1, 3, 3, -1, -4]},
]
PREFERENCE = Function(
    preference,
    RATED,
    switches={
        "tie": (0.0, "a tie counts nothing; asked is one half."),
        "over": ("decided", "people who rated both alike are left out; they count one half each."),
        "way": (-1, "that is the share who rate B higher."),
    },
    wrongs=[
        ("a tie counts as if A were rated higher.", lambda a, b: preference(a, b, tie=1.0)),
        ("that is the share who rate B at least as high.",
         lambda a, b: preference(a, b, tie=1.0, way=-1)),
        ("the votes are added up, and not divided by the people.",
         lambda a, b: preference(a, b, over="sum")),
        ("each rating of A is held against each of B: the same person's are asked.", all_with_all),
        ("that says whose mean is higher; asked is how many people say so.", of_means),
        ("that says whose median is higher; asked is how many people say so.",
         lambda a, b: float((np.sign(np.median(a) - np.median(b)) + 1) / 2)),
        ("that is a difference of means, in points of the scale; asked is a share of people.",
         lambda a, b: float(np.mean(a) - np.mean(b))),
        ("those above less those below: from −1 to 1, and a share is asked.",
         lambda a, b: float(np.sign(np.subtract(a, b)).mean())),
        ("that is the majority's verdict; asked is how large it is.",
         lambda a, b: float((np.sign(np.sign(np.subtract(a, b)).sum()) + 1) / 2)),
        ("the ratings are sorted first, so that a place is no longer one person.",
         lambda a, b: preference(np.sort(a), np.sort(b))),
        ("that counts the people; it isn't divided by their number, and ties are left out.",
         lambda a, b: float(np.sum(np.greater(a, b)))),
        ("that counts pairs one place apart: the same place is one person.",
         lambda a, b: preference(a[1:], b[:-1])),
        *RATINGS.items(),
    ],
    rtol=2e-3,
    shows="Fifteen people's opinions have become one number between 0 and 1.",
)  # fmt: skip


# ---------------------------------------------------------------- 20.1
def told_apart(votes, *, own="out", theirs="out", with_own=False, over="sure", any_tie=False):
    """Of each person, the share of pairs on which the majority of the others says the same.

    votes (pairs, people): 1, -1, or 0 for a tie. Pairs with a tie of either are left out.
    """
    votes, found = np.asarray(votes), []
    for i in range(votes.shape[1]):
        others = np.sign(votes.sum(1) - (0 if with_own else votes[:, i]))
        mine = votes[:, i]
        same = (mine == others).astype(float)
        same[(mine == 0) | (others == 0)] = 0.5 if "half" in (own, theirs) else 0
        keep = ((mine != 0) | (own != "out")) & ((others != 0) | (theirs != "out"))
        keep &= (votes != 0).all(1) | (not any_tie)
        number = {"sure": keep.sum(), "all": len(votes), "none": 1}[over]
        found.append(same[keep].sum() / number)
    return np.array(found)


def by_pair(votes):
    """The other way round: of each pair, the share of people."""
    votes, total = np.asarray(votes), np.asarray(votes).sum(1, keepdims=True)
    sure = (votes != 0) & (total - votes != 0)
    return ((np.sign(total - votes) == votes) & sure).sum(1) / sure.sum(1)


def with_each(votes):
    """With each other person in turn, in place of their majority."""
    votes, found = np.asarray(votes), []
    for i in range(votes.shape[1]):
        products = votes[:, [i]] * np.delete(votes, i, 1)
        found.append((products[products != 0] > 0).mean())
    return np.array(found)


def voted(pairs: int, people: int, seed: int) -> dict:
    """Votes of people who partly agree, a third of them ties."""
    rng = np.random.default_rng(seed)
    gap = rng.normal(size=(3 * pairs, 1)) + 0.9 * rng.normal(size=(3 * pairs, people))
    votes = (np.sign(gap) * (abs(gap) > 0.55)).astype(int)
    told = (votes != 0) & (votes.sum(1, keepdims=True) - votes != 0)
    return {"votes": votes[told.any(1)][:pairs]}  # of each pair somebody can tell


def compares_sizes(votes):
    """A vote of 1 is held against a sum of 3."""
    votes = np.asarray(votes)
    others = votes.sum(1, keepdims=True) - votes
    sure = (votes != 0) & (others != 0)
    return ((votes == others) & sure).sum(0) / sure.sum(0)


def by_median(votes):
    """The others' median in place of their sum."""
    votes, found = np.asarray(votes), []
    for i in range(votes.shape[1]):
        middle = np.sign(np.median(np.delete(votes, i, 1), axis=1))
        sure = (votes[:, i] != 0) & (middle != 0)
        found.append((middle == votes[:, i])[sure].mean())
    return np.array(found)


def less_the_others(votes, over="sure"):
    """Pairs on which they agree less those on which they don't."""
    same, share = told_apart(votes, over="none"), told_apart(votes)
    sure = same / share  # pairs
    return (2 * same - sure) / (sure if over == "sure" else len(votes))


def at_once(votes):
    """All people's pairs in one share."""
    votes = np.asarray(votes)
    others = votes.sum(1, keepdims=True) - votes
    sure = (votes != 0) & (others != 0)
    return float((np.sign(others) == votes)[sure].mean())


TOLD_APART = Function(
    told_apart,
    [voted(17, 6, 0), voted(23, 5, 1), voted(14, 7, 2)],
    switches={
        "own": ("kept", "the person's own ties are kept, and count as if he or she disagreed."),
        "theirs": ("kept", "where the others tie there is nothing to agree with: leave it out."),
        "with_own": (True, "the person's own vote is part of the majority: leave it out."),
        "over": ("all", "divided by all pairs; only those without a tie are asked."),
    },
    wrongs=[
        ("the person's own ties count one half: the chapter's `agreement`, not those who can tell.",
         lambda v: told_apart(v, own="half")),
        ("the others' ties count one half; they are to be left out.",
         lambda v: told_apart(v, theirs="half")),
        ("ties count one half, on both sides; they are to be left out.",
         lambda v: told_apart(v, own="half", theirs="half")),
        ("those are numbers of pairs; a share is asked.", lambda v: told_apart(v, over="none")),
        ("a pair goes out wherever anybody ties; only the person and the others' sum must not.",
         lambda v: told_apart(v, any_tie=True)),
        ("a vote is held against the size of the others' sum: its sign is asked.", compares_sizes),
        ("that is the others' median, which a few ties make 0: their sum is asked.", by_median),
        ("those who agree less those who don't; asked is the share who do.", less_the_others),
        ("those who agree less those who don't, by all pairs; asked is the share who do, without "
         "ties.", lambda v: less_the_others(v, "all")),
        ("that is agreement with each other person in turn, not with their majority.", with_each),
        ("rows are pairs and columns are people: yours has them exchanged.",
         lambda v: told_apart(np.transpose(v))),
        ("that is one share for each pair; asked is one for each person.", by_pair),
        ("that is the mean over the people; asked is one share for each of them.",
         lambda v: float(told_apart(v).mean())),
        ("that is one share for all people together; asked is one for each of them.", at_once),
        *((why, person_by_person(figure)) for why, figure in PEOPLE.items()),
        *of_people(told_apart).items(),
    ],
    rtol=2e-3,
    read=lambda v: list(v.values()) if isinstance(v, dict) else v,
    shows="People who rate two sentences differently mostly agree on which is the better: "
    "much of what looked like quarrel was ties.",
)  # fmt: skip

# ---------------------------------------------------------------- 20.2
FIRST, SECOND = "512 sentences", "2,048 sentences"
BELOW_ASKED, BELOW_HEAD = "lists below SmolLM2 asked", "lists below the reward model"
# Accuracy of word lists from 512 and from 2,048 sentences: which were taken, the words that stand
# in so many of them, the kind of pairs. The sentences are not the book's to ship: a test makes
# these again where they were fetched.
MEASURED = {
    ("drawn", 2, "different blocks"): (0.6344, 0.7246),
    ("drawn", 2, "opposite tone"): (0.7207, 0.8481),
    ("drawn", 2, "the same tone"): (0.5424, 0.5929),
    ("drawn", 2, "the same block"): (0.5340, 0.5952),
    ("drawn", 5, "different blocks"): (0.5945, 0.7045),
    ("drawn from all", 2, "different blocks"): (0.6337, 0.7396),
    ("the first", 2, "different blocks"): (0.5456, 0.5942),
}
CORRELATIONS = (0.397, 0.632)  # of these lists with people's means
FULL = 0.776  # the list of all sentences
OTHERS = {0.748: "SmolLM2, asked", 0.792: "the reward model", FULL: "the full word list"}
ASKED = MEASURED["drawn", 2, "different blocks"]
SEEDS = ((0.605, 0.645), (0.710, 0.735))  # where other draws come out
PAIRS_OF = "that is the accuracy on pairs of {}; asked are pairs in different blocks."
NOT_ASKED = {
    ("drawn", 2, "opposite tone"): PAIRS_OF.format("opposite tone"),
    ("drawn", 2, "the same tone"): PAIRS_OF.format("the same tone"),
    ("drawn", 2, "the same block"): PAIRS_OF.format("the same block"),
    ("drawn", 5, "different blocks"): "with `at_least=5` a small list loses most of its words: "
    "that is for all sentences, 2 for these two.",
    ("drawn from all", 2, "different blocks"): "sentences of the test blocks are among those that "
    "the list was fitted to.",
    ("the first", 2, "different blocks"): "the first sentences of the file are nearly all praise: "
    "draw at random.",
}


def wrong_lists(answer: dict) -> list:
    """Lists that are not those asked for; then what stands beside them."""
    found = [((FIRST, SECOND), MEASURED[kind], why) for kind, why in NOT_ASKED.items()]
    single = [(n, v, why) for names, both, why in found for n, v in zip(names, both, strict=True)]
    alone = lambda n, v: sum(n == m and abs(v / w - 1) < 0.012 for m, w, _ in single) == 1
    found += [(n, v, why) for n, v, why in single if alone(n, v)]
    asked, head = (
        f"another number of the three lists is below {what}: its accuracy and that of the list of "
        "all sentences stand in the chapter's table, under different blocks. An accuracy that is "
        "higher counts as above, by however little."
        for what in ("SmolLM2", "the reward model")
    )
    above = "those are how many lists are above them; asked is how many they are above."
    full = "that is the list of all sentences; asked are those of 512 and of 2,048."
    found += [((FIRST, SECOND), v, full) for v in [(answer[FIRST], FULL), (FULL, answer[SECOND])]]
    found += [((FIRST, SECOND), v, "that is what a coin gets.") for v in [(0.5, 0.5)]]
    found += [
        ((FIRST, SECOND), (answer[n], answer[n]), f"that is the list of {n} twice.")
        for n in (FIRST, SECOND)
    ]
    found += [
        (
            SECOND,
            answer[SECOND] - answer[FIRST],
            "that is what it gains on the smaller list; its own accuracy is asked.",
        )
    ]
    found += [
        (n, v, f"that is the accuracy of {who}; asked is a smaller word list's.")
        for n in (FIRST, SECOND)
        for v, who in OTHERS.items()
    ]
    correlations = "those are the lists' correlations with people; their accuracies are asked."
    found += [((FIRST, SECOND), CORRELATIONS, correlations)]
    found += [((BELOW_ASKED, BELOW_HEAD), (1, 0), above)]
    found += [(BELOW_HEAD, n, head) for n in (0, 1, 2)]
    found += [(BELOW_ASKED, n, asked) for n in (0, 1, 3)]
    return found


def about_right(found: dict, answer: dict) -> str:
    """Another draw of sentences."""
    near = [lo <= found[n] <= hi for n, (lo, hi) in zip((FIRST, SECOND), SEEDS, strict=True)]
    if all(near):
        return (
            "about right, but from another draw: take the first 512, and the first 2,048, of "
            "`np.random.default_rng(0).permutation(len(outside))`."
        )
    return ""


class Lists(Numbers):
    """The last two are counts."""

    def read(self, attempt) -> dict[str, float] | str:
        """Whole ones."""
        found = super().read(attempt)
        if isinstance(found, dict) and any(found[n] not in range(4) for n in list(found)[2:]):
            return "the last two are numbers of lists, from 0 to 3."
        return found


LISTS = Lists(
    {FIRST: ASKED[0], SECOND: ASKED[1], BELOW_ASKED: 2, BELOW_HEAD: 3},
    wrong_lists,
    "Asked without a rating, SmolLM2 stands between the lists of 2,048 and of all sentences.",
    rtol=0.005,
    tell=about_right,
)

EXERCISES = {"20.0": PREFERENCE, "20.1": TOLD_APART, "20.2": LISTS}
