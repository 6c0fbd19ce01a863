"""One training loop, for supervised fine-tuning and for every preference loss. Read `train` from top to bottom.

The recipe: score every response once with the frozen reference and keep the scores; then sample pairs, score them with the
policy, take the loss, go back. The loss is arXiv 2305.18290, section 4; keeping the scores saves a forward pass per step.
"""

import warnings
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import Tensor, nn
from tqdm.auto import tqdm

from .data import DataError, split_pairs
from .losses import LOSSES, class_mean_delta, kto_kl
from .models import Scorer, context_length, frozen_copy, pad_id
from .runs import RunFolder, fingerprint, interruptible
from .settings import PRESETS as PRESETS
from .settings import TrainConfig, learning_rate, pick_rows
from .tokens import Example, collate, encode_rows, fit


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
) -> list[dict]:
    """Train `model` in place on rows as `data.read_rows` gives them; return one row of metrics per step.

    `reference` defaults to the model as it is now. With `run_folder`, config.json, metrics.jsonl, checkpoints and the
    trained model are written there; with `resume` a run that was cut short goes on from its last checkpoint and ends as
    if it had not been (give it the same starting model). `on_step(step, metrics)` is called after every step.
    Same seed, same rows: same weights. DataError for rows or a folder that can't be used.
    """
    loss = LOSSES[config.loss]
    if loss.needs == "labels" and rows and "chosen" in rows[0]:
        rows = split_pairs(rows)
    examples, report = encode_rows(tokenizer, rows, config.max_length or context_length(model), config.skip_bad)
    if report.left_out or report.warnings:
        tqdm.write(str(report))
    if not examples:
        raise DataError("no row is left to train on")
    if len(examples[0]) != (2 if loss.needs == "pairs" else 1):
        raise DataError(f"loss {config.loss!r} needs rows of kind {loss.needs!r}")
    begun_with = {"rows": fingerprint(examples), "weights": fingerprint(*model.parameters())}
    run = RunFolder(run_folder, asdict(config) | begun_with, resume) if run_folder else None
    AcceleratorState._reset_state()  # an earlier run of this process may have had another precision
    accelerator = Accelerator(mixed_precision=config.precision)
    torch.manual_seed(config.seed)
    if config.lora_rank:
        model = add_lora(model, config.lora_rank)
    model.eval()  # no dropout: the policy that is scored is the policy that will be sampled

    labels = row_labels(loss.needs, rows) if len(examples) == len(rows) else None
    if labels is None and {"kl", "delta", "win_probability"} & set(loss.inputs):
        raise DataError(f"loss {config.loss!r} needs the label of every row: mend or remove the rows that don't fit")

    # score every response once with the reference, before anything moves, and keep the scores
    live = kept = others = None
    if "reference" in loss.inputs:
        frozen = Scorer(model if reference is None else reference.eval()).to(accelerator.device)
        others = frozen_copy(frozen) if "kl" in loss.inputs else None  # KTO scores new combinations at every step
        if config.live_reference:
            live = frozen_copy(frozen)
        else:
            kept = run.kept_reference() if run and resume else None
        if not live and kept is None:
            with accelerator.autocast():
                kept = score_examples(frozen, [e for row in examples for e in row], pad_id(tokenizer), progress=progress)
            kept = kept.view(len(examples), -1)  # (rows, responses a row)
            if run:
                run.keep_reference(kept)

    scorer = Scorer(model)
    weights = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=config.learning_rate, weight_decay=config.weight_decay)
    scorer, optimizer = accelerator.prepare(scorer, optimizer)
    first, history = run.restore(model, optimizer) if resume else (0, [])
    delta = history[-1].get("delta") if history else None  # BCO's moving average
    steps = tqdm(range(first, config.steps), desc=config.loss, disable=not progress, leave=False)

    with interruptible() as interrupted:
        for step in steps:
            rate = learning_rate(step, config)
            for group in optimizer.param_groups:
                group["lr"] = rate
            sums: dict[str, float] = {}
            batch_rows = pick_rows(step, len(examples), config)
            numbers = {"delta": delta or 0.0}
            if others is not None:
                numbers["kl"] = mismatched_kl(scorer, others, [examples[i][0] for i in batch_rows.tolist()], tokenizer, config)
            rewards, thumbs = [], []
            for part in batch_rows.chunk(config.accumulation):
                # sample pairs; chosen rows first, then the rejected ones
                picked = [examples[i][side] for side in range(len(examples[0])) for i in part.tolist()]
                batch = {k: v.to(accelerator.device) for k, v in collate(picked, pad_id(tokenizer)).items()}
                # score them with the frozen reference (or look the scores up), then with the policy
                ref_logps = None
                if kept is not None:
                    ref_logps = kept[part].T.flatten().to(accelerator.device)
                elif live is not None:
                    with torch.no_grad(), accelerator.autocast():
                        ref_logps = live(**batch)
                logps = scorer(**batch)
                lengths = torch.tensor([float(e.response_length) for e in picked])
                told = None if labels is None else labels[part].to(accelerator.device)
                losses, metrics = loss_and_metrics(config, logps, ref_logps, lengths, told, **numbers)
                metrics |= counters(batch, tokenizer.eos_token_id, len(part))
                # backprop
                accelerator.backward(losses.sum() / len(batch_rows))
                for key, value in metrics.items():
                    sums[key] = sums.get(key, 0.0) + float(value.sum())
                for key, thumb in {"chosen_reward": True, "rejected_reward": False, "reward": labels}.items():
                    if key in metrics and "delta" in loss.inputs:
                        rewards.append(metrics[key].cpu())
                        thumbs.append(labels[part] if thumb is labels else torch.full((len(part),), thumb))
            norm = accelerator.clip_grad_norm_(weights, config.max_grad_norm)
            if not torch.isfinite(norm):
                raise DataError(f"the gradient of step {step + 1} is {norm}: lower the learning rate, or use precision no")
            optimizer.step()
            optimizer.zero_grad()

            row = {"step": step + 1} | {key: value / len(batch_rows) for key, value in sums.items()}
            row |= {"grad_norm": float(norm), "learning_rate": rate}
            if "kl" in loss.inputs:
                row["kl"] = float(numbers["kl"])
            if "delta" in loss.inputs:
                row["delta"] = delta = float(class_mean_delta(torch.cat(rewards).double(), torch.cat(thumbs), delta))
            history.append(row)
            if run:
                run.log(row)
            if on_step:
                on_step(step + 1, row)
            steps.set_postfix_str(f"loss {row['loss']:.3f}", refresh=False)
            last_chance = interrupted()
            if run and (last_chance or (config.save_every and (step + 1) % config.save_every == 0)):
                run.save(step + 1, model, optimizer)
            if last_chance:
                raise KeyboardInterrupt(f"after step {step + 1}" + (f"; {run.folder} goes on with --resume" if run else ""))

    model = model.merge_and_unload() if config.lora_rank else model
    if run:
        run.finish(model, tokenizer)
    return history


def loss_and_metrics(
    config: TrainConfig, logps: Tensor, ref_logps: Tensor | None, lengths: Tensor, labels: Tensor | None = None, **numbers
) -> tuple[Tensor, dict[str, Tensor]]:
    """Losses (B,) and what the dashboard shows, each (B,). For pairs logps (2B,) hold the chosen, then the rejected responses.

    `lengths` are the responses' tokens, EOS included, in the same order; `labels` (B,) thumbs or win probabilities; `numbers`
    KTO's kl and BCO's delta.
    """
    loss, options = LOSSES[config.loss], config.options()
    if loss.needs == "texts":
        losses = loss.fn(logps)
        return losses, {"loss": losses.detach(), "logp": logps.detach(), "length": lengths}
    options |= {key: numbers[key] for key in ("kl", "delta") if key in loss.inputs}
    lengths = lengths.to(logps.device)
    rewards = (config.beta * (logps if ref_logps is None else logps - ref_logps)).detach()
    if loss.needs == "labels":
        losses = loss.fn(logps, ref_logps, labels, **options)
        middle = config.beta * numbers["kl"] if "kl" in loss.inputs else numbers["delta"]
        accuracy = torch.where((rewards - middle).abs() < 1e-5, 0.5, ((rewards > middle) == labels).float())
        return losses, {"loss": losses.detach(), "accuracy": accuracy, "reward": rewards, "logp": logps.detach(), "length": lengths}
    if "lengths" in loss.inputs:
        options |= dict(zip(("chosen_lengths", "rejected_lengths"), lengths.chunk(2), strict=True))
    if "win_probability" in loss.inputs:
        options["win_probability"] = labels
    references = ref_logps.chunk(2) if "reference" in loss.inputs else ()
    losses = loss.fn(*logps.chunk(2), *references, **options)
    margin = rewards.chunk(2)[0] - rewards.chunk(2)[1]
    tie = margin.abs() < 1e-5  # rounding apart; a tie is a coin toss
    return losses, {
        "loss": losses.detach(), "accuracy": torch.where(tie, 0.5, (margin > 0).float()), "margin": margin,
        "chosen_reward": rewards.chunk(2)[0], "rejected_reward": rewards.chunk(2)[1],
        "chosen_logp": logps.detach().chunk(2)[0], "rejected_logp": logps.detach().chunk(2)[1],
        "chosen_length": lengths.chunk(2)[0], "rejected_length": lengths.chunk(2)[1],
    }  # fmt: skip


def counters(batch: dict[str, Tensor], eos: int, rows: int) -> dict[str, Tensor]:
    """Ends of text that are scored per response (it should be 1), and the share of all tokens that is scored, each (rows,)."""
    scored = batch["response_mask"]
    ends = ((batch["input_ids"] == eos) & scored).sum(1).float()
    share = scored.sum(1) / batch["attention_mask"].sum(1)
    return {"eos": ends.view(-1, rows).mean(0), "scored": share.view(-1, rows).mean(0)}


def row_labels(needs: str, rows: list[dict]) -> Tensor | None:
    """What a row says of its responses, (N,): the thumb of a label, the probability that a pair's chosen response wins."""
    if needs == "labels":
        return torch.tensor([row["label"] for row in rows])
    return torch.tensor([float(row.get("probability", 1.0)) for row in rows]) if needs == "pairs" else None


def mismatched_kl(scorer: nn.Module, reference: nn.Module, examples: list[Example], tokenizer, config: TrainConfig) -> Tensor:
    """KTO's z_0 on the whole batch: every prompt with the next row's response, scored by both models without gradients."""
    following = examples[1:] + examples[:1]
    mixed = [
        Example(a.ids[: a.prompt_length] + b.ids[b.prompt_length :], a.prompt_length)
        for a, b in zip(examples, following, strict=True)
    ]
    mixed = [fit([e], config.max_length)[0] for e in mixed] if config.max_length else mixed
    scores = [score_examples(m, mixed, pad_id(tokenizer)) for m in (scorer, reference)]
    return kto_kl(scores[0] - scores[1]).to(next(scorer.parameters()).device)


@torch.no_grad()
def score_examples(scorer: nn.Module, examples: list[Example], pad: int, batch_size: int = 64, progress: bool = False) -> Tensor:
    """log pi(y|x) of N examples, shape (N,), on the CPU, in the order given; batches of like length and at most 4,096 tokens."""
    device = next(scorer.parameters()).device
    order = sorted(range(len(examples)), key=lambda i: -len(examples[i].ids))
    out: dict[int, Tensor] = {}
    bar = tqdm(total=len(order), desc="scoring", disable=not progress, leave=False)
    while len(out) < len(order):
        size = max(1, min(batch_size, 4096 // len(examples[order[len(out)]].ids)))
        part = order[len(out) : len(out) + size]
        batch = {k: v.to(device) for k, v in collate([examples[i] for i in part], pad).items()}
        out |= dict(zip(part, scorer(**batch).cpu(), strict=True))
        bar.update(len(part))
    bar.close()
    return torch.stack([out[i] for i in range(len(examples))])


def add_lora(model: nn.Module, rank: int) -> nn.Module:
    """The model with trainable low-rank adapters (arXiv 2106.09685) on its linear layers; all else is frozen."""
    from peft import LoraConfig, get_peft_model

    warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*")  # peft reads it, transformers renamed it
    if hasattr(model, "peft_config"):
        raise DataError("the model has LoRA adapters already: merge them first (merge_and_unload), or the reference would be a mix")
    config = LoraConfig(
        r=rank, lora_alpha=2 * rank, target_modules="all-linear", lora_dropout=0.0, task_type="CAUSAL_LM",
        fan_in_fan_out=model.config.model_type == "gpt2",  # GPT-2 stores its matrices the other way round
    )  # fmt: skip
    return get_peft_model(model, config)
