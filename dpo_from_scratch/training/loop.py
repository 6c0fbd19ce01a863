"""One loop, for supervised fine-tuning and for every preference loss. Read `train` from the top.

Its four steps are those of chapter 06: sample pairs, ask the reference, ask the policy, go back
(arXiv 2305.18290, section 4). What a loss needs beyond that has a file of its own: what the
reference says (references.py), and what only a whole batch can tell (whole_batch.py).
"""

from collections.abc import Callable
from pathlib import Path

from torch import nn
from tqdm.auto import tqdm

from ..processes.group import here, join
from ..processes.run import open_run
from .batches import prepare
from .endings import last_words, warnings_of
from .fingerprints import begun_with
from .folders import recorded
from .memory import look_at_memory
from .metrics import Means, loss_and_metrics
from .settings import TrainConfig, as_begun, learning_rate, pick_rows
from .start import SetUp, products, set_up
from .stops import Stopped, check_finite, check_weights, interruptible, told


def train(
    model: nn.Module,
    tokenizer,
    rows: list[dict],
    config: TrainConfig,
    run_folder: str | Path | None = None,
    reference: nn.Module | None = None,
    resume: bool = False,
    on_step: Callable[[int, dict], None] | None = None,
    progress: bool = True,
    overwrite: bool = False,
    force: bool = False,
) -> list[dict]:
    """Train `model` in place on rows as `data.read_rows` gives them; returns each step's metrics.

    `reference` defaults to the model as it is now. `on_step(step, metrics)` is called after every
    step. Same seed, same rows: same weights. Of the rows only those are tokenised and scored that
    seed and steps will pick. `progress` shows bars, and says what looks wrong at beginning and end.

    With `run_folder`, config.json, metrics.jsonl, checkpoints and the trained model are written
    there, and nothing else is touched. The folder must hold no run, unless `overwrite` (which
    deletes that run) or `resume`: a run that was cut short goes on from its last checkpoint and
    ends as if it had not been; a finished one is left as it is, its metrics are returned, and the
    model takes its weights. Rows, labels, starting model, reference and settings must be those that
    it began with. Ctrl-C and SIGTERM end the step, leave a checkpoint and raise `Stopped`, a
    KeyboardInterrupt. DataError or ModelError, in one sentence, for rows, a model or a folder that
    can't be used, for numbers that are not finite, and for a machine that fails (`from` the error);
    it names the last good weights. `force` goes on where there is too little memory.
    """
    progress = join().first and progress  # alone it is the first; a launcher starts several
    config = as_begun(config, recorded(Path(run_folder))) if resume and run_folder else config
    data = prepare(tokenizer, rows, config, model, progress)
    asked = (model, data, config, reference, run_folder, force or resume)
    say(here().from_first(lambda: look_at_memory(*asked)), progress)
    begun = lambda: begun_with(rows, data, model, reference)
    opened = open_run(run_folder, config.resolved(), begun, resume, overwrite)
    with opened as run, products(config):
        if run.finished:
            say([f"{run.folder} holds this run, finished: nothing is left to do"], progress)
            return run.take(model)
        say(warnings_of(config, len(data)), progress)
        ready = set_up(model, tokenizer, data, config, run, reference, progress)
        say(ready.told, progress)
        todo = range(ready.first, config.steps)
        steps = tqdm(todo, desc=config.loss, disable=not progress, leave=False)
        with interruptible() as interrupted:
            for step in steps:
                with told(step, run):
                    row = one_step(ready, step, config)
                ready.log(row)
                if on_step:
                    on_step(step + 1, row)
                steps.set_postfix_str(f"loss {row['loss']:.3f}", refresh=False)
                stop, last = ready.processes.most(interrupted()), step + 1 == config.steps
                if last or stop or (config.save_every and (step + 1) % config.save_every == 0):
                    check_weights(ready.model, step, config, run)
                    ready.save(step + 1, last)
                if stop:
                    raise Stopped(f"after step {step + 1}{run.how_to_go_on()}", stop)
        run.finish(ready.trained(), tokenizer)
    say(last_words(ready.history), progress)
    return ready.history


def one_step(ready: SetUp, step: int, config: TrainConfig) -> dict[str, float]:
    """The four steps on one batch, and the metrics of it."""
    picked = pick_rows(step, len(ready.data), config)  # 1. sample pairs
    numbers, means = ready.whole_batch.before(picked), Means(len(picked))
    for part in ready.parts(picked):
        batch = ready.data.batch(part.rows, ready.accelerator.device)
        ref_logps = ready.reference.logps(batch)  # 2. ask the reference
        logps = ready.policy(**batch.tokens)  # 3. ask the policy
        batch, logps, ref_logps = part.of_all(batch, logps, ref_logps)  # as they are, if alone
        losses, metrics = loss_and_metrics(
            config, logps, ref_logps, batch.lengths, batch.labels, **numbers
        )
        ready.accelerator.backward(losses.sum() / len(picked))  # 4. go back
        means.add(metrics | batch.counters)
        ready.whole_batch.see(metrics, batch)
    row = {"step": step + 1} | means.values()
    check_finite("loss", row["loss"], step, config, ready.run)
    return row | update(ready, step, config) | ready.whole_batch.after()


def update(ready: SetUp, step: int, config: TrainConfig) -> dict[str, float]:
    """Clip the gradient and make AdamW's step; DataError if the gradient is not finite."""
    norm = ready.clip(config.max_grad_norm)
    check_finite("gradient", float(norm), step, config, ready.run)
    rate = learning_rate(step, config)
    for group in ready.optimizer.param_groups:
        group["lr"] = rate
    ready.optimizer.step()
    ready.optimizer.zero_grad()
    return {"grad_norm": float(norm), "learning_rate": rate}


def say(sentences: list[str], progress: bool) -> None:
    """Print what looks wrong."""
    for sentence in sentences if progress else []:
        tqdm.write(sentence)
