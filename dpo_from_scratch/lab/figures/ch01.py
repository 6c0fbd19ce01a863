"""Chapter 01: what the model says of the grammar's texts, and what each token costs."""

import matplotlib.pyplot as plt
import numpy as np

from ..plots import POLICY, REFERENCE


def draw_scores(exact: np.ndarray, scores: np.ndarray, lengths: np.ndarray):
    """Log-probabilities of N texts, model against grammar and against their lengths, all (N,)."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.8))
    left.scatter(exact, scores, s=10, color=POLICY, alpha=0.5, lw=0)
    left.plot([exact.min(), 0], [exact.min(), 0], color="black", lw=1, ls="--")
    left.annotate("equal", (-4, -4), (-4, 4), textcoords="offset points", ha="right", color="0.3")
    left.set(xlabel="log-probability under the grammar, nats", ylabel="under the model, nats")
    right.scatter(lengths, scores, s=10, color=POLICY, alpha=0.5, lw=0)
    right.plot([0, lengths.max()], [0, -lengths.max()], color=REFERENCE, ls="--")
    right.annotate("one nat a token", (4, -4), (14, 2), textcoords="offset points", color="0.3")
    right.axhline(-20, color="0.3", ls=":", lw=1)
    right.annotate("−20", (0, -20), (0, -12), textcoords="offset points", color="0.3")
    right.set(xlabel="tokens, end included", ylabel="log-probability, nats")
    return figure
