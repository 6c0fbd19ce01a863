"""What a diagnosis consists of: findings, and for each cause what to do and where it is taught."""

from dataclasses import asdict, dataclass

LOGITS = "Tokens and masks"
REFERENCE = "The reference"
NUMBERS = "Sums, steps and precision"
DATA = "Look at the data"
CURVES = {  # sections of chapter 09, on curves that need no bug; all others are of chapter 22
    "When the chosen response falls": 9,
    "Right every time": 9,
    "Longer and longer": 9,
}
CAUSES = {  # code: (what to do, section of the chapter that shows it)
    "prompt_scored": ("mask the prompt: only the response's tokens are scored", LOGITS),
    "eos_missing": (
        "score the end-of-text token: make masks from lengths, not from `ids != pad`",
        LOGITS,
    ),
    "eos_doubled": (
        "add the end-of-text token once: does the template or the text end with it already?",
        LOGITS,
    ),
    "truncated": (
        "raise max_length, cut the prompt instead, or leave such rows out: a response is never cut",
        LOGITS,
    ),
    "swapped": ("exchange chosen and rejected, in the collate function or in the data", LOGITS),
    "wrong_text": ("decode what is scored, and compare it with the response", LOGITS),
    "padding_scored": (
        "leave padding out of the sum: multiply by the mask before you add up",
        LOGITS,
    ),
    "bos_inside": ("tokenise the response with add_special_tokens=False", LOGITS),
    "left_padding": (
        "give the model position_ids that count from a row's first real token, or pad on the right",
        LOGITS,
    ),
    "batch_dependence": (
        "pass the attention mask: a score must not depend on the other rows of its batch",
        LOGITS,
    ),
    "not_shifted": ("position t predicts token t + 1: shift labels and mask together", NUMBERS),
    "mean": (
        "sum over tokens; for a mean on purpose, beta must be about a response's length times "
        "larger",
        NUMBERS,
    ),
    "weights": (
        "every token counts once: look for a factor, a sign or a discount in the score",
        NUMBERS,
    ),
    "precision": ("take the log-softmax in float32: `logits.float()`", NUMBERS),
    "no_gradient": (
        "give a beta above 0, weights that are trainable, and a learning rate above 0",
        NUMBERS,
    ),
    "wrong_direction": (
        "look for a sign, or for chosen and rejected exchanged on the way to the loss",
        NUMBERS,
    ),
    "no_reference": (
        "subtract the reference's log-probabilities (SimPO, ORPO and CPO have none)",
        REFERENCE,
    ),
    "step_too_large": (
        "lower learning_rate (TRL: learning_rate), or warm up longer (TRL: warmup_steps)",
        NUMBERS,
    ),
    "dropout": (
        "score in eval mode, or set the dropout to 0 (TRL: disable_dropout=True); else look "
        "whether the reference is the policy's start",
        REFERENCE,
    ),
    "reference_is_policy": (
        "the reference must be a frozen copy: copy.deepcopy, requires_grad_(False), no sharing",
        REFERENCE,
    ),
    "reference_moves": (
        "freeze the reference: nothing may load, average or train its weights",
        REFERENCE,
    ),
    "reference_differs": (
        "start the policy from the reference: same weights, same tokens; an SFT adapter is merged "
        "before a new one is added (TRL: merge_and_unload, and ref_model is the SFT model or None)",
        REFERENCE,
    ),
    "displacement": (
        "no bug as such: watch it, or add an NLL term on the chosen response",
        "When the chosen response falls",
    ),
    "too_sure": (
        "stop earlier or use IPO or cDPO; look for a cue that gives the label away",
        "Right every time",
    ),
    "nothing_learned": (
        "train longer or with a higher learning rate; look at the labels",
        "Right every time",
    ),
    "length_bias": (
        "expect longer responses; compare a length-normalised loss",
        "Longer and longer",
    ),
    "contradictions": (
        "expect a lower ceiling of accuracy; cDPO and robust DPO allow for such labels",
        DATA,
    ),
    "duplicates": ("remove them, or know that they count twice", DATA),
    "no_rows": ("look whether it is the right file, written to its end", DATA),
    "prompt_repeated": ("take the prompt out of both responses: it is scored twice", DATA),
    "scores_disagree": (
        "look whether chosen and rejected are exchanged; leave out pairs that are equally good",
        DATA,
    ),
    "no_space": (
        "begin each response with a space, or end the prompt with white space",
        DATA,
    ),
    "bad_rows": ("mend the rows, or leave them out with --skip-bad", DATA),
    # what a look into a trainer's functions and steps shows
    "not_log_softmax": ("score with log_softmax(logits) at the label, in float32", NUMBERS),
    "wrong_window": ("the mask must cover the response's tokens and its end, no others", LOGITS),
    "bos_doubled": ("tokenise text that begins with it with add_special_tokens=False", LOGITS),
    "wrong_context": (
        "what stands before a response must be its prompt and nothing else: build each row anew",
        LOGITS,
    ),
    "prompt_missing": ("put the whole prompt before its response; cut it on the left", LOGITS),
    "pairs_mixed": ("keep rows in order: split a batch as it was put together", LOGITS),
    "unknown_tokens": ("use the model's own tokenizer, or data in its words", LOGITS),
    "equal_pair": ("leave out pairs whose two responses are the same tokens", LOGITS),
    "adapter_in_reference": (
        "score the reference with the adapter off: `with model.disable_adapter():`",
        REFERENCE,
    ),
    "reference_rows": ("keep the reference's scores by row, not by place in a batch", REFERENCE),
    "reference_exchanged": ("subtract chosen from chosen, rejected from rejected", REFERENCE),
    "reference_weight": ("beta times (policy - reference), on both sides alike", REFERENCE),
    "reference_gradients": ("score the reference under torch.no_grad()", REFERENCE),
    "first_loss": ("look at what the first step does: margins are 0 before it", NUMBERS),
    "loss_scaled": ("know that the loss is reported as a sum, or divided", NUMBERS),
    "gradient_scaled": ("take the mean over the batch, divided by its parts once", NUMBERS),
    "gradients_pile_up": ("call optimizer.zero_grad() once in every step", NUMBERS),
    "pairs_lost": ("let every pair of a batch reach backward() before the update", NUMBERS),
    "side_detached": ("let gradients pass through both responses' scores", NUMBERS),
    "not_in_optimizer": ("give all trainable parameters to the optimizer", NUMBERS),
    "moved_beside_optimizer": ("look at what changes weights behind the update", NUMBERS),
    "updates_rounded": ("keep the trained weights in float32", NUMBERS),
    "beta_differs": ("use one beta, in the loss and in the step", NUMBERS),
    "beta_twice": ("multiply by beta once", NUMBERS),
    "effective_beta": ("compare it with the beta that you meant", NUMBERS),
    "loss_of_mean": ("take the loss of each pair first, then the mean", NUMBERS),
    "bounded_loss": ("use logsigmoid: a badly wrong pair must be pushed most", NUMBERS),
    "unstable_loss": ("use logsigmoid, not the logarithm of a sigmoid", NUMBERS),
    "step_differs": ("hand over the loss of the step, or look at what it does besides", NUMBERS),
    "adapter_unused": ("merge it into the model before the new one is added", REFERENCE),
    "setting_ignored": ("take the setting out, or choose what reads it", NUMBERS),
    "not_looked_at": ("give `check` what is missing, or look there yourself", "The doctor"),
    # what curves alone show
    "not_finite": (
        "lower learning_rate (TRL: learning_rate), train in bf16 or float32 and not in fp16, look "
        "for rows without a response; go back to a checkpoint of before that step",
        NUMBERS,
    ),
    "rate_too_low": (
        "raise learning_rate (TRL: learning_rate; LoRA needs about ten times more than full "
        "training); look at beta and at the schedule too",
        NUMBERS,
    ),
    "padding_rows": (
        "leave rows that only fill a batch out of the loss, and divide by the rows that are left",
        NUMBERS,
    ),
    "accumulation": (
        "divide the loss of each part by accumulation (TRL: gradient_accumulation_steps) once, and "
        "not twice or never",
        NUMBERS,
    ),
}
MEASURED = {  # code: what a curve's finding tells when it is read from a record
    "not_finite": "from step {row} on numbers are not finite",
    "rate_too_low": "at step {row} rewards and margin are {number:.2g} at most",
    "padding_rows": "step {row}: the loss is {number:.2f} times what its margins allow",
    "accumulation": "step {row}: the loss is {number:.2f} times what its margins allow",
    "reference_differs": "at first the rewards' mean is {number:.2f}, where equal models have 0",
    "dropout": "at first the rewards' mean is {number:.2f}, where equal models have 0",
    "precision": "step {row}: with all rewards 0 the loss is {number:.5f}, and ln 2 is 0.69315",
    "step_too_large": "the loss rose to {number:.3g} about step {row}",
    "reference_moves": "the margin is exactly 0 again in {number:.0f} rows, first at step {row}",
    "displacement": "the chosen reward changed by {number:.2g} up to step {row}",
    "eos_missing": "{number:.2f} ends of text are scored per response",
    "eos_doubled": "{number:.2f} ends of text are scored per response",
    "truncated": "{number:.2f} ends of text are scored per response",
    "prompt_scored": "{number:.0%} of all tokens are scored",
}


def chapter_of(section: str) -> int:
    """The chapter in which a section of CAUSES stands: 22, or 9 for curves that need no bug."""
    return CURVES.get(section, 22)


@dataclass(frozen=True)
class Finding:
    """One line of a diagnosis.

    `level` is "problem" or "note"; only a problem makes `dpo doctor` exit with 1. `row` is the step
    of the log that shows it, `number` what was measured there.
    """

    code: str
    seen: str
    sure: str = "certain"  # or "likely", "possible"
    level: str = "problem"
    row: int | None = None
    number: float | None = None

    def __str__(self) -> str:
        advice, section = CAUSES[self.code]
        seen = f"{self.level} ({self.sure}) {self.code}" + (f": {self.seen}" if self.seen else "")
        return f'{seen}. To do: {advice}. [chapter {chapter_of(section):02d}, "{section}"]'

    def plain(self) -> dict:
        """For a record: code, level, how sure, row and number; no sentence."""
        return {key: value for key, value in asdict(self).items() if key != "seen"}

    @classmethod
    def read(cls, plain: dict) -> "Finding":
        """From a record: the sentence is made now, of row and number."""
        form = MEASURED.get(plain["code"], "")
        known = all(
            plain.get(name) is not None for name in ("row", "number") if f"{{{name}" in form
        )
        seen = form.format(**plain) if known else ""
        return cls(**{"seen": seen} | plain)
