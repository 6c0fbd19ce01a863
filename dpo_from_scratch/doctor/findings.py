"""What a diagnosis consists of: findings, and for each cause what to do and where it is taught."""

from dataclasses import dataclass

LOGITS = "The gallery: tokens and masks"
REFERENCE = "The gallery: the reference"
NUMBERS = "The gallery: sums, steps and precision"
CAUSES = {  # code: (what to do, section of chapter 09)
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
    "step_too_large": ("lower the learning rate", NUMBERS),
    "dropout": (
        "score in eval mode, or set the dropout to 0; else look whether the reference is the "
        "policy's start",
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
        "start the policy from the reference: same weights, adapters merged, same tokens",
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
        "The doctor",
    ),
    "duplicates": ("remove them, or know that they count twice", "The doctor"),
    "no_rows": ("look whether it is the right file, written to its end", "The doctor"),
    "prompt_repeated": ("take the prompt out of both responses: it is scored twice", "The doctor"),
    "scores_disagree": (
        "look whether chosen and rejected are exchanged; leave out pairs that are equally good",
        "The doctor",
    ),
    "no_space": (
        "begin each response with a space, or end the prompt with white space",
        "The doctor",
    ),
    "bad_rows": ("mend the rows, or leave them out with --skip-bad", "The doctor"),
    # what a look into a trainer's functions and steps shows
    "not_log_softmax": ("score with log_softmax(logits) at the label, in float32", NUMBERS),
    "wrong_window": ("the mask must cover the response's tokens and its end, no others", LOGITS),
    "bos_doubled": ("tokenise text that begins with it with add_special_tokens=False", LOGITS),
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
    "not_looked_at": ("give `check` what is missing, or look there yourself", NUMBERS),
}


@dataclass(frozen=True)
class Finding:
    """One line of a diagnosis.

    `level` is "problem" or "note"; only a problem makes `dpo doctor` exit with 1.
    """

    code: str
    seen: str
    sure: str = "certain"  # or "likely", "possible"
    level: str = "problem"

    def __str__(self) -> str:
        advice, section = CAUSES[self.code]
        seen = f"{self.level} ({self.sure}) {self.code}: {self.seen}"
        return f'{seen}. To do: {advice}. [chapter 09, "{section}"]'
