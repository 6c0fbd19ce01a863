"""The road that DPO avoids: a reward model, and PPO against it (arXiv 2203.02155, 1707.06347).

Four models are in memory: the policy, its frozen reference, the reward model, and a value model
that guesses the reward to come. Arrays of shape (B, T-1) belong to the tokens 1 ... T-1 of a batch;
`mask` marks the response's tokens, end-of-text included.
"""

from .loop import PPOConfig, Rollout, logps_of, minibatches, ppo, ppo_step, roll_out
from .parts import (
    advantages_and_returns,
    masked_mean,
    policy_loss,
    token_rewards,
    value_loss,
    whiten,
)
from .reward_model import Head, last_scores, reward_loss, score_texts, train_reward_model
