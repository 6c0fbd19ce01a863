"""`dpo sample` and `dpo score`: what a model writes, and what it gives to texts; no training."""

import json
import sys

from .options import load_reference


def add_commands(add) -> None:
    """`sample` and `score`, by `add(name, run, help_text)`, which returns the command's parser."""
    add_sample_options(add("sample", sample_command, "write responses to prompts"))
    help_text = "print log-probabilities of pairs, or with --reference their implicit rewards"
    add_score_options(add("score", score_command, help_text))


def add_sample_options(sampling) -> None:
    """What to ask, and how to draw."""
    sampling.add_argument(
        "--model", default="tiny", help='"tiny", "smollm2", a folder, or a hub id (default: tiny)'
    )
    sampling.add_argument(
        "--prompt",
        action="append",
        help="a prompt; may be given again (default: three of the review world)",
    )
    sampling.add_argument(
        "--chat",
        action="store_true",
        help="hand the prompt to the model's chat template as a user's message",
    )
    sampling.add_argument("--n", type=int, default=1, help="responses for each prompt (default: 1)")
    sampling.add_argument(
        "--temperature", type=float, default=1.0, help="0 is greedy (default: 1.0)"
    )
    sampling.add_argument(
        "--max-new-tokens", type=int, help="default: what the context leaves, at most 256"
    )
    sampling.add_argument("--seed", type=int, default=0)


def add_score_options(scoring) -> None:
    """Which model, which pairs, against which reference."""
    scoring.add_argument("--model", required=True, help='"tiny", "smollm2", a folder, or a hub id')
    scoring.add_argument("--data", required=True, help="JSON Lines with prompt, chosen, rejected")
    scoring.add_argument("--reference", help="the model that training started from")
    scoring.add_argument(
        "--beta",
        type=float,
        default=0.1,
        help="of the implicit reward beta * log-ratio (default: 0.1)",
    )
    scoring.add_argument(
        "--max-length",
        type=int,
        default=0,
        help="tokens a row may have; 0: what the model can read",
    )
    scoring.add_argument(
        "--skip-bad", action="store_true", help="leave out rows that can't be used, and count them"
    )


def sample_command(options) -> None:
    from ..models import load_model
    from ..sampling import sample
    from ..world import prompts

    model, tokenizer = load_model(options.model)
    asked = options.prompt or prompts("test")[:3]
    if options.chat:
        asked = [[{"role": "user", "content": p}] for p in asked]
    drawn = sample(
        model,
        tokenizer,
        [p for p in asked for _ in range(options.n)],
        temperature=options.temperature,
        max_new_tokens=options.max_new_tokens,
        seed=options.seed,
    )
    for s in drawn:
        row = {"prompt": s.prompt, "completion": s.text, "finished": s.finished}
        print(json.dumps(row, ensure_ascii=False))


def score_command(options) -> None:
    from ..data import DataError, Report, numbered_rows
    from ..models import Scorer, length_limit, load_model, pad_id
    from ..scoring import score_pairs
    from ..tokens import encode_each
    from ..training.metrics import share_right

    report = Report(options.data)
    rows = list(numbered_rows(options.data, "pairs", report, options.skip_bad))
    model, tokenizer = load_model(options.model)
    limit = length_limit(model, options.max_length)
    found = list(encode_each(tokenizer, rows, report, limit, options.skip_bad, report.unit))
    if not found:
        raise DataError(f"{options.data}: holds no usable row of prompt, chosen, rejected")
    lines, pairs = zip(*found, strict=True)
    scores = score_pairs(Scorer(model), pairs, pad_id(tokenizer))
    keys, what = ["chosen_logps", "rejected_logps"], "log-probability"
    if options.reference:
        reference = load_reference(options.reference, tokenizer)
        before = score_pairs(Scorer(reference), pairs, pad_id(tokenizer))
        scores = options.beta * (scores - before)
        keys, what = ["chosen_rewards", "rejected_rewards"], "implicit reward"
    for line, (chosen, rejected) in zip(lines, scores.tolist(), strict=True):
        print(json.dumps({report.unit: line, keys[0]: chosen, keys[1]: rejected}))
    margin = scores[:, 0] - scores[:, 1]
    right = share_right(margin, margin > 0).double().mean()  # a tie counts one half
    counted = f"{len(scores)} pairs, {report.left_out.total()} left out"
    told = f"{counted}; {what} of the chosen above the rejected in {right:.3f}"
    print(told, file=sys.stderr)
    report.rows = len(scores)
    if report.left_out or report.warnings:
        print(report, file=sys.stderr)
