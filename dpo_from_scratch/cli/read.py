"""`dpo sample` and `dpo score`: what a model writes, and what it gives to texts; no training."""

import json
import sys

from .options import load_here, load_reference
from .parsing import number, whole


def add_commands(add) -> None:
    """`sample` and `score`, by `add(name, run, short, long)`, which returns a parser."""
    add_sample_options(add("sample", sample_command, "write responses to prompts"))
    more = "print log-probabilities of pairs, or with --reference their implicit rewards"
    add_score_options(add("score", score_command, "log-probabilities or rewards of pairs", more))


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
    sampling.add_argument(
        "--n", type=whole(1), default=1, help="responses for each prompt (default: 1)"
    )
    sampling.add_argument(
        "--temperature", type=number, default=1.0, help="0 is greedy (default: 1.0)"
    )
    sampling.add_argument(
        "--max-new-tokens", type=int, help="default: what the context leaves, at most 256"
    )
    sampling.add_argument("--seed", type=whole(0), default=0, help="decides the draws (default: 0)")


def add_score_options(scoring) -> None:
    """Which model, which pairs, against which reference."""
    scoring.add_argument("--model", required=True, help='"tiny", "smollm2", a folder, or a hub id')
    scoring.add_argument("--data", required=True, help="JSON Lines with prompt, chosen, rejected")
    scoring.add_argument("--reference", help="the model that training started from")
    scoring.add_argument(
        "--beta",
        type=number,
        default=0.1,
        help="of the implicit reward beta * log-ratio (default: 0.1)",
    )
    scoring.add_argument(
        "--max-length",
        type=whole(0),
        default=0,
        help="tokens a row may have; 0: what the model can read (default: 0)",
    )
    scoring.add_argument(
        "--skip-bad", action="store_true", help="leave out rows that can't be used, and count them"
    )


def sample_command(options) -> None:
    from ..sampling import sample
    from ..world import prompts

    model, tokenizer = load_here(options.model)
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
        progress=sys.stderr.isatty(),
    )
    for s in drawn:
        row = {"prompt": s.prompt, "completion": s.text, "finished": s.finished}
        print(json.dumps(row, ensure_ascii=not writes_all()))


def score_command(options) -> None:
    from tqdm.auto import tqdm

    from ..data import DataError, Report, numbered_rows
    from ..models import Scorer, length_limit, pad_id
    from ..processes.scores import score_rows
    from ..tokens import encode_each

    report = Report(options.data)
    rows = list(numbered_rows(options.data, "pairs", report, options.skip_bad))
    model, tokenizer = load_here(options.model)
    limit = length_limit(model, options.max_length)
    rows = tqdm(rows, desc="tokenising", disable=None, leave=False, delay=2)
    found = list(encode_each(tokenizer, rows, report, limit, options.skip_bad, report.unit))
    if not found:
        raise DataError(f"{options.data}: holds no usable row of prompt, chosen, rejected")
    lines, pairs = zip(*found, strict=True)
    rest = (pairs, pad_id(tokenizer), sys.stderr.isatty())
    scores = score_rows(Scorer(model), *rest)
    keys, what = ["chosen_logps", "rejected_logps"], "log-probability"
    if options.reference:
        reference = load_reference(options.reference, tokenizer)
        before = score_rows(Scorer(reference), *rest)
        scores = options.beta * (scores - before)
        keys, what = ["chosen_rewards", "rejected_rewards"], "implicit reward"
    for line, (chosen, rejected) in zip(lines, scores.tolist(), strict=True):
        print(json.dumps({report.unit: line, keys[0]: chosen, keys[1]: rejected}))
    counted = f"{len(scores)} pairs, {report.left_out.total()} left out"
    print(f"{counted}; {what} of the chosen {summary(scores)}", file=sys.stderr)
    report.rows = len(scores)
    if report.left_out or report.warnings:
        print(report, file=sys.stderr)


def summary(scores) -> str:
    """How often the chosen is above the rejected, (N, 2), and by how much on average."""
    from ..lab.evaluation import mean_and_half_width
    from ..training.metrics import share_right

    margin = (scores[:, 0] - scores[:, 1]).double()
    right = float(share_right(margin, margin > 0).double().mean())
    told = f"above the rejected in {right:.3f} (a tie counts one half); mean margin "
    if len(margin) < 2:
        return f"{told}{float(margin[0]):.4g}"
    mean, half = mean_and_half_width(margin.numpy())
    return f"{told}{mean:.4g}, 95 % interval {mean - half:.4g} to {mean + half:.4g}"


def writes_all() -> bool:
    """Whether stdout can write every letter; where not, JSON escapes them and loses nothing."""
    return (getattr(sys.stdout, "encoding", None) or "utf-8").lower().startswith("utf")
