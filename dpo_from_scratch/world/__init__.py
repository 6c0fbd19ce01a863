"""The review world: a grammar that writes short reviews, and a true reward, all of it exact.

The grammar is a finite automaton, so the optimum of KL-constrained reward,

    pi*(y|x) = pi_0(y|x) exp(r(x, y) / beta) / Z(x)                  (arXiv 2305.18290, eq. 4)

is an automaton too, and log Z, expected reward and KL divergence are computed for every beta.
Words: *the grammar* is pi_0; *the reference* is the neural model that training is anchored to.
Units: log-probabilities and KL in nats per reply, rewards in the units of Bradley-Terry log-odds.
"""

from .automaton import Automaton, Policy
from .grammar import (
    BAD,
    GLOOMY,
    GOOD,
    HOUSE,
    KINDS,
    MAX_SENTENCES,
    TYPES,
    Author,
    pretty,
    prompts,
    vocabulary,
)
from .labellers import (
    bradley_terry,
    flipped,
    length_biased,
    make_pairs,
    make_texts,
    make_thumbs,
    opening,
    panel,
    true_order,
)
from .reviews import MINI, REVIEWS, World
from .truth import PER_WORD, VALENCE, reward, rewards
