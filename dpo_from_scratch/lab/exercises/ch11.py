"""Chapter 11: robust DPO; ε from the labels; flips on flips; a clean loss from flipped labels."""

from .ch11_clean import CLEAN
from .ch11_robust import ROBUST
from .ch11_shares import SHARE, TWICE

EXERCISES = {"11.0": ROBUST, "11.1": SHARE, "11.2": TWICE, "11.3": CLEAN}
