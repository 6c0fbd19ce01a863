"""A TRL trainer's own methods as the functions that `check` wants."""

import copy
import itertools
import math
from types import SimpleNamespace

import torch
from torch import Tensor, nn

from ..data import DataError
from ..others import guarded
from .case import PATIENCE, far, gap, low_precision
from .findings import Finding
from .trl_settings import adapters_of, can_learn, ignored_smoothing, rows_that_fit

TRIED = "1.16.0"
NOT_FOR_THE_MODEL = {"completion_mask", "ref_chosen_logps", "ref_rejected_logps"}
MOST_PAIRS, LENGTH = 8, 20
WHOLE_BATCH = {"aot", "aot_unpaired", "sft"}  # losses of a batch that are no mean over its parts
LOSS = ("compute_loss", "_compute_loss")


def _stock():
    import trl

    return trl.DPOTrainer


class Probe:
    """The functions that `check` wants, made of a trainer's own methods."""

    def __init__(self, trainer, rows: list[dict], steps: int):
        self.steps = max(steps - (steps > 2), 1)  # `check` makes the last from moved weights
        self.trainer, self.reference = trainer, nn.Module()  # a name for its own reference
        self.parts, self.losses, self.rates = 1, [], []
        stock = _stock()
        kept = [getattr(type(trainer), name) is getattr(stock, name) for name in LOSS]
        self.strange = not all(kept) or bool(set(LOSS) & set(vars(trainer)))
        self.pairs = rows_that_fit(trainer, rows, self._batch_size(len(rows)))
        mask = self.collate(self.pairs)["completion_mask"]
        self.lengths = mask[:, 1:].sum(1).clamp(min=1).reshape(2, -1).tolist()

    def _batch_size(self, there: int) -> int:
        """Pairs of a step: some of the trainer's own, in equal parts, and not three."""
        args = self.trainer.args
        whole = WHOLE_BATCH & set(self.trainer.loss_types)
        parts = 1 if whole else min(args.gradient_accumulation_steps, 4)
        size = max(min(args.per_device_train_batch_size, MOST_PAIRS // parts), 1)
        size = max(size, 2) if parts == 1 else size
        if parts * size > there:
            parts, size = 1, there
        self.parts = parts if parts * size != 3 else 1  # three are what `check` tries a loss with
        return parts * size if parts * size != 3 else 2

    def look_at_loss(self, notes: list[str]) -> list[Finding]:
        """Whether the trainer's loss can be handed numbers, and what it hears is the model's."""
        t, self.rounded = self.trainer, False
        self.readable = can_learn(t) and not getattr(t, "use_weighting", False)
        found = ignored_smoothing(t, self.loss) if self.readable and not self.strange else []
        if self.readable and self.strange:
            try:
                numbers = torch.full((4, 2), -20.0).requires_grad_()
                self.readable = bool(guarded("this loss", self.loss, *numbers).requires_grad)
            except DataError:
                self.readable = False
        if self.strange and not self.readable:
            notes.append("the loss's shape and beta: a subclass replaces TRL's compute_loss")
        batch = self.collate(self.pairs)
        with torch.no_grad():
            plain = torch.stack(self.score(t.model, batch))
            active = adapters_of(t.model)[1]
            heard = self._own(batch)[0].sum(1).reshape(2, -1)
        lost = sorted(active - adapters_of(t.model)[1])
        if lost:
            told = "TRL makes one adapter active again after it has asked the reference: from then"
            found.append(Finding("adapter_unused", f"{told} on {', '.join(lost)} is off"))
        if far(heard, plain, 2e-2 if low_precision(t.model) else 1e-3):
            told = "the log-probabilities of TRL's fused head and of the model's logits differ"
            told = f"{told} by {gap(heard, plain):.3g} nats"
            found.append(Finding("precision", told, "likely"))
        if t.precompute_ref_logps and t.accelerator.mixed_precision != "no":
            self.rounded = not far(torch.stack(self.columns(self.pairs)), plain, 2e-2)
        return found

    # ------------------------------------------------------------ what `check` calls
    def collate(self, rows: list[dict]) -> dict:
        """The trainer's own batch of these pairs."""
        return self.trainer._prepare_inputs(self.trainer.data_collator([p["row"] for p in rows]))

    def score(self, model, batch: dict):
        """Sums over the completion mask, of plain logits: the fused head of TRL shows none.

        The reference's are the trainer's own numbers.
        """
        if model is self.reference:
            return self._own(batch)[-1].sum(1).chunk(2)
        width, labels = batch["input_ids"].shape[1] - 1, batch["input_ids"][:, 1:]
        inputs = {k: v for k, v in batch.items() if k not in NOT_FOR_THE_MODEL}
        logits = model(**inputs, use_cache=False).logits[:, :-1][:, -width:]
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        logps = logits.log_softmax(-1).gather(-1, labels.unsqueeze(-1)).squeeze(-1)
        return (logps * batch["completion_mask"][:, 1:]).sum(-1).chunk(2)

    def columns(self, rows: list[dict]):
        """The precomputed numbers of the reference."""
        batch = self.collate(rows)
        return batch["ref_chosen_logps"], batch["ref_rejected_logps"]

    def loss(self, chosen: Tensor, rejected: Tensor, ref_chosen: Tensor, ref_rejected: Tensor):
        """The trainer's own loss, of these numbers; it believes that a model gave them."""
        n, device = len(chosen), self.trainer.accelerator.device
        lengths = self.lengths if n == len(self.pairs) else [[LENGTH] * n] * 2
        lengths = torch.tensor(lengths, device=device).reshape(-1, 1)
        mask = (torch.arange(int(lengths.max()) + 1, device=device) <= lengths).long()
        mask[:, 0] = 0
        if getattr(self.trainer, "f_divergence_type", "") == "alpha_divergence":  # no float64 there
            chosen, rejected, ref_chosen, ref_rejected = (
                x.float() for x in (chosen, rejected, ref_chosen, ref_rejected)
            )
        sums = torch.cat([chosen.reshape(-1), rejected.reshape(-1)]).to(device).unsqueeze(1)
        shown = mask[:, 1:] * (sums / lengths)
        fixed = torch.zeros_like(shown.detach())
        output = SimpleNamespace(log_probs=shown, entropy=fixed, mean_logits=fixed, aux_loss=0.0)
        output.is_top1, output.log_sum_sq_probs = fixed.bool(), fixed
        inputs = {"input_ids": mask, "attention_mask": mask, "completion_mask": mask}
        inputs["ref_chosen_logps"] = ref_chosen.reshape(-1).to(device)
        inputs["ref_rejected_logps"] = ref_rejected.reshape(-1).to(device)
        kept = self.trainer.precompute_ref_logps, getattr(self.trainer, "aux_loss_enabled", False)
        self.trainer.precompute_ref_logps, self.trainer.aux_loss_enabled = True, False
        try:
            return self.trainer.compute_loss(lambda **kwargs: output, inputs)
        finally:
            self.trainer.precompute_ref_logps, self.trainer.aux_loss_enabled = kept

    def step(self, rows: list[dict]) -> float:
        """One update as the Trainer makes it: parts of a batch, clipping, optimizer, schedule."""
        t = self.trainer
        if not self.rates:
            self._begin()
        size = len(rows) // self.parts
        t.current_gradient_accumulation_steps = self.parts
        parts = [rows[i : i + size] for i in range(0, len(rows), size)]
        value = sum(float(t.training_step(t.model, self.collate(part))) for part in parts)
        if t.args.max_grad_norm and t.args.max_grad_norm > 0:
            nn.utils.clip_grad_norm_(t.model.parameters(), t.args.max_grad_norm)
        self.rates.append(max(group["lr"] for group in t.optimizer.param_groups))
        t.optimizer.step()
        for _ in range(self.strides[min(len(self.losses), len(self.strides) - 1)]):
            t.lr_scheduler.step()
        t.model.zero_grad()
        t.state.global_step += 1
        self.losses.append(value)
        return value

    # ------------------------------------------------------------ inside
    def _own(self, batch: dict) -> list[Tensor]:
        """Log-probabilities per token that the trainer's loss gets, the reference's last."""
        heard, t, width = [], self.trainer, batch["input_ids"].shape[1] - 1

        def hear(module, args, output):
            if isinstance(getattr(output, "log_probs", None), Tensor):
                heard.append(output.log_probs[:, -width:])

        models = [m for m in (t.model, t.ref_model) if m is not None]
        handles = [m.register_forward_hook(hear) for m in models]
        needed = 1 if t.precompute_ref_logps else 2
        try:
            guarded("the trainer's own loss", t.compute_loss, t.model, batch, seconds=PATIENCE)
            if len(heard) != needed and self.strange:  # it scores by itself
                heard.clear()
                _stock()._compute_loss(t, t.model, batch, False)
        finally:
            for handle in handles:
                handle.remove()
        if len(heard) != needed:
            told = "this trainer's loss doesn't ask TRL's fused head for log-probabilities"
            raise DataError(f"{told}: check_trl was tried with TRL {TRIED}; use doctor.check")
        return heard

    def _begin(self) -> None:
        """Optimizer and schedule, and how far the schedule goes on at each step of the probe."""
        t, total = self.trainer, _steps_of_the_run(self.trainer)
        t.create_optimizer_and_scheduler(total)
        keep = {id(p): p for p in t.model.parameters()}
        optimizer, schedule = copy.deepcopy((t.optimizer, t.lr_scheduler), keep)
        self.planned = []
        for _ in range(min(total, 20_000)):
            self.planned.append(max(group["lr"] for group in optimizer.param_groups))
            if not isinstance(schedule, torch.optim.lr_scheduler.ReduceLROnPlateau):
                schedule.step()
        peak = self.planned.index(max(self.planned))
        n = self.steps
        places = [round(k * max(peak, n) / n) for k in range(n + 1)]
        self.strides = [b - a for a, b in itertools.pairwise(places)]
        if isinstance(schedule, torch.optim.lr_scheduler.ReduceLROnPlateau):
            self.strides = [0]

    def progress(self) -> list[Finding]:
        """Whether the whole run would move anything, by how the loss fell in the steps made."""
        losses = self.losses[: self.steps]
        rates = self.rates[: len(losses)]
        if len(losses) < 3 or not sum(rates[:-1]) or not math.isfinite(losses[-1]):
            return []
        fall = (losses[0] - losses[-1]) * sum(self.planned) / sum(rates[:-1])
        if not abs(fall) < 0.005 * abs(losses[0]):
            return []
        told = f"at these rates all {len(self.planned)} steps lower the loss by about {fall:.2g}"
        return [Finding("nothing_learned", told, "likely", "note")]


def _steps_of_the_run(trainer) -> int:
    args = trainer.args
    if args.max_steps > 0:
        return args.max_steps
    batches = math.ceil(len(trainer.train_dataset) / args.train_batch_size)
    an_epoch = max(math.ceil(batches / args.gradient_accumulation_steps), 1)
    return max(math.ceil(args.num_train_epochs * an_epoch), 1)
