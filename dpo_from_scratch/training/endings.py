"""What looks wrong with a run and stops nothing: settings that do little, a poor end."""

from .settings import TrainConfig

# nats a token; a guess among the 260,000 tokens of the largest vocabularies is -12.5
RUINED = -15.0


def warnings_of(config: TrainConfig, rows: int) -> list[str]:
    """Sentences about settings that are allowed and hardly meant, before the first step."""
    out = []
    if config.warmup >= config.steps:
        most = config.learning_rate * config.steps / (config.warmup + 1)
        told = f"warm-up takes {config.warmup} steps and the run has {config.steps}"
        out.append(f"note: the {told}: the learning rate rises to {most:.2g} and never higher")
    if config.batch_size > rows:
        told = f"a batch takes {config.batch_size} rows and there are {rows}"
        out.append(f"note: {told}: the same rows come more than once in a batch")
    return out


def last_words(history: list[dict]) -> list[str]:
    """A sentence where the run has learned nothing, or ends worse than it began."""
    if not history:
        return []
    first, last, mean = history[0]["loss"], history[-1], end_of("loss", history)
    still = [row["grad_norm"] == 0 for row in history]
    if all(still) and any(row["learning_rate"] for row in history):
        why = "look at beta, at the options of the loss, and whether all rows are alike"
        return [f"note: the gradient was exactly 0 at every step, so nothing was learned: {why}"]
    if still[-1] and last["learning_rate"]:
        step = len(still) - still[::-1].index(False) + 1
        why = "the loss is flat there, so nothing more is learned: lower the learning rate"
        return [f"note: from step {step} on the gradient is exactly 0: {why}"]
    if mean - first > max(1.0, abs(first)) or mean > 3 * max(first, 0.3):
        told = f"the loss ends at {mean:.4g} and began at {first:.4g}"
        return [f"note: {told}: lower the learning rate, and read `dpo doctor` on the run"]
    which = "chosen_" if "chosen_logp" in last else ""
    token = end_of(f"{which}logp", history) / end_of(f"{which}length", history)
    if token < RUINED:
        told = f"the model gives the {which[:-1] or 'given'} responses {token:.0f} nats a token now"
        return [f"note: {told}, less than a guess among all tokens: lower the learning rate"]
    return []


def tenth(history: list[dict]) -> int:
    """A tenth of the steps, one at least."""
    return max(len(history) // 10, 1)


def end_of(key: str, history: list[dict]) -> float:
    """The mean of the last tenth of the steps."""
    rows = history[-tenth(history) :]
    return sum(row[key] for row in rows) / len(rows)
