"""Training: one loop for supervised fine-tuning and for every preference loss.

Read loop.py first.
"""

from .loop import train
from .settings import PRESETS, REVIEW_BETAS, TrainConfig, learning_rate, pick_rows
