"""What is wrong with TRL's DPOTrainer, built and not yet run? `check_trl` asks `check`.

The trainer's own rows, collator, loss, reference, optimizer and schedule are used, from inside its
own methods; then it is what it was before. Tried with TRL 1.16.0.
"""

import contextlib
import copy
import itertools
import warnings
from collections.abc import Iterator

from ..data import DataError
from ..others import guarded
from .case import PATIENCE, left_as_it_was
from .findings import Finding
from .probe import check
from .trl_probe import TRIED, Probe
from .trl_settings import (
    adapters_as_they_were,
    can_learn,
    look_at_settings,
    say_in_trls_words,
)

NEEDED = """model ref_model args beta loss_types data_collator precompute_ref_logps accelerator
 state control train_dataset _tokenizer _metrics compute_loss training_step optimizer
 lr_scheduler create_optimizer_and_scheduler"""
ROWS = 256
FOLLOWERS = {"truncated": ("eos_missing",), "prompt_scored": ("wrong_window",)}
ROUNDED = ("reference_differs", "first_loss", "step_differs")  # by columns kept from bf16
# what a divergence does far away from the reference on purpose
SHAPES = {"side_detached", "bounded_loss", "unstable_loss"}


def check_trl(trainer, steps: int = 10) -> list[Finding]:
    """Examine a TRL `DPOTrainer` that is built and has not trained yet; no problem if all is well.

    The first rows of its `train_dataset` are looked at; some pairs that fit are scored by its own
    loss and reference (a model, adapters off, or precomputed columns), and `steps` updates are made
    by its own training_step, optimizer, clipping and schedule; a warm-up longer than that is walked
    through in larger strides. A setting that can't be looked at is named in a note,
    `not_looked_at`. In mixed precision all is computed in float32.

    Afterwards weights, gradients, modes, optimizer, scheduler, random numbers, state and metrics
    are what they were. Callbacks aren't called. What a subclass keeps in lists of its own isn't put
    back. Nobody can see from here whether the columns chosen and rejected are exchanged.

    DataError in one sentence without TRL, for another trainer or another TRL (tried with 1.16.0),
    after training has begun, for rows with images, and in several processes.
    """
    _refuse(trainer)
    rows = list(itertools.islice(iter(trainer.train_dataset), ROWS))
    if len(rows) < 2:
        raise DataError("check_trl needs two rows or more in the trainer's train_dataset")
    with _undone(trainer) as notes:
        probe = Probe(trainer, rows, steps)
        found = look_at_settings(trainer, rows, notes) + probe.look_at_loss(notes)
        moves = _steps_can_be_tried(trainer, notes)
        found += check(
            probe.score,
            probe.collate,
            trainer.model,
            None if trainer.precompute_ref_logps else probe.reference,
            probe.pairs,
            trainer._tokenizer,
            loss=probe.loss if probe.readable else None,
            step=probe.step if moves else None,
            steps=steps,
            reference_scores=probe.columns if trainer.precompute_ref_logps else None,
        )
        found += probe.progress()
    return say_in_trls_words(trainer, _tidy(trainer, found, notes, probe))


def _refuse(trainer) -> None:
    try:
        import trl
    except ImportError:
        raise DataError(f"check_trl needs TRL: pip install trl=={TRIED}") from None
    if not isinstance(trainer, trl.DPOTrainer):
        name = type(trainer).__name__
        raise DataError(f"check_trl takes TRL's DPOTrainer, not {name}: try doctor.check")
    missing = [name for name in NEEDED.split() if not hasattr(trainer, name)]
    if missing:
        told = f"the DPOTrainer of TRL {trl.__version__} has no {missing[0]}"
        raise DataError(f"{told}: check_trl was tried with {TRIED}; use doctor.check")
    if trainer.state.global_step > 0:
        told = f"this trainer has made {trainer.state.global_step} steps"
        raise DataError(f"{told}: build it again, and call check_trl before train()")
    if trainer.accelerator.num_processes > 1 or trainer.is_deepspeed_enabled:
        told = "check_trl works in one process, without DeepSpeed"
        raise DataError(f"{told}: build the trainer so, with a small model if need be, and ask")
    base = getattr(trainer.model, "get_base_model", lambda: None)()
    if hasattr(base, "get_base_model"):
        told = "the policy is an adapter on an adapter, a PeftModel in another"
        raise DataError(f"{told}, which TRL can't score: merge the first one, save it, begin there")
    if getattr(trainer, "_is_vision_dataset", False):
        raise DataError("check_trl doesn't look at rows with images: try it on rows of text")
    if getattr(trainer, "padding_free", False):
        raise DataError("check_trl doesn't look at packed rows: set padding_free=False to ask")


@contextlib.contextmanager
def _undone(trainer) -> Iterator[list[str]]:
    """Everything that is done to the trainer inside is undone; gives a list for what isn't seen."""
    saved, accelerator, reference = dict(vars(trainer)), trainer.accelerator, trainer.ref_model
    scaler, notes = accelerator.scaler, []
    hidden = getattr(reference, "_original_forward", None)  # without accelerate's autocast
    forward = vars(reference).get("forward") if hidden is not None else None
    with contextlib.ExitStack() as stack:
        stack.enter_context(adapters_as_they_were(trainer.model))
        stack.enter_context(left_as_it_was(trainer.model, reference))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        try:
            for name in ("state", "control", "_metrics"):
                setattr(trainer, name, copy.deepcopy(saved[name]))
            _copy_the_optimizer(trainer)
            if accelerator.mixed_precision != "no":
                told = f"mixed precision ({accelerator.mixed_precision})"
                notes.append(f"{told}: all was computed without it")
            accelerator.scaler = None
            if hidden is not None:
                reference.forward = hidden
            trainer.model.eval()
            yield notes
        finally:
            accelerator.scaler = scaler
            if hidden is not None:
                reference.forward = forward
            vars(trainer).clear()
            vars(trainer).update(saved)


def _copy_the_optimizer(trainer) -> None:
    """An optimizer and a schedule that the trainer was given: worked with as copies."""
    if trainer.optimizer is not None:
        kept = {id(p): p for p in trainer.model.parameters()}
        pair = guarded(
            "copying the optimizer",
            copy.deepcopy,
            (trainer.optimizer, trainer.lr_scheduler),
            kept,
            seconds=PATIENCE,
        )
        trainer.optimizer, trainer.lr_scheduler = pair


def _steps_can_be_tried(trainer, notes: list[str]) -> bool:
    """False, and a note, where a step would leave traces or can't be told from its scores."""
    name = str(getattr(trainer.args.optim, "value", trainer.args.optim))
    why = {
        "they would push nothing": not can_learn(trainer),
        f"optim={name} hooks itself into the model": "layerwise" in name or "lomo" in name,
        "ld_alpha weighs tokens": getattr(trainer, "ld_alpha", None) is not None,
        "use_weighting weighs pairs": getattr(trainer, "use_weighting", False),
        "the router's loss is added": getattr(trainer, "aux_loss_enabled", False),
    }
    notes += [f"steps, since {told}" for told, so in why.items() if so]
    return not any(why.values())


def _tidy(trainer, found: list[Finding], notes: list[str], probe) -> list[Finding]:
    """One finding of a code, one cause speaking, and one note of what isn't seen."""
    unseen = [f.seen for f in found if f.code == "not_looked_at"]
    unseen = [told for f in unseen for told in f.split("; ") if "was not given" not in told]
    first: dict[str, Finding] = {}
    bent = getattr(trainer, "f_divergence_type", "reverse_kl") != "reverse_kl"
    for f in found:
        if not (f.code in SHAPES and bent):
            first.setdefault(f.code, f)
    first.pop("not_looked_at", None)
    for cause, followers in FOLLOWERS.items():
        if cause in first and first[cause].level == "problem":
            first = {code: f for code, f in first.items() if code not in followers}
    if probe.rounded:
        first = {code: f for code, f in first.items() if code not in ROUNDED}
    if any(f.level == "problem" for f in first.values()):
        first.pop("nothing_learned", None)
    if unseen + notes:
        first["not_looked_at"] = Finding("not_looked_at", "; ".join(unseen + notes), level="note")
    return list(first.values())
