"""`dpo check-data`, `dpo doctor`, `dpo fetch-human-ratings`: look at files and runs, get data."""

from pathlib import Path

from ..data import KEYS
from .parsing import whole


def add_commands(add) -> None:
    """The three, by `add(name, run, short, long)`, which returns the command's parser."""
    checking = add(
        "check-data",
        check_data_command,
        "what is in a file of rows, and what is wrong",
        "say what is in a file of pairs, labels or texts, and what is wrong with it",
    )
    add_checking_options(checking)
    doctor = add(
        "doctor",
        doctor_command,
        "what is wrong with a run, a file, or a model on it",
        "say what is wrong with a run, a file of pairs, or a model on such a file",
    )
    doctor.add_argument(
        "what",
        help="runs/NAME, a metrics.jsonl, TRL's OUT, OUT/checkpoint-N or trainer_state.json, or a "
        "file of pairs",
    )
    doctor.add_argument(
        "--model", help="score the pairs with this model and look at tokens, masks and precision"
    )

    ratings = add(
        "fetch-human-ratings",
        ratings_command,
        "get people's ratings of sentences, as pairs",
        "fetch people's ratings of film-review sentences and make pairs of them",
    )
    ratings.add_argument(
        "--out",
        default="human_ratings",
        help="folder for train.jsonl and test.jsonl (default: human_ratings)",
    )
    ratings.add_argument(
        "--archive", help="the source archive of vaderSentiment 3.3.2, if you have it already"
    )


def add_checking_options(checking) -> None:
    """Which file, and whose tokens to count."""
    checking.add_argument("data", help="JSON Lines or an array (.gz too), Parquet")
    checking.add_argument("--kind", choices=KEYS, help="default: what the columns make")
    checking.add_argument(
        "--model", help="count this model's tokens, and what its context cuts off, instead of words"
    )
    checking.add_argument(
        "--max-length",
        type=whole(0),
        default=0,
        help="tokens a row may have; 0: what the model can read (default: 0)",
    )


def check_data_command(options) -> int:
    from ..doctor import check_file, findings_of

    tokenizer = limit = None
    if options.model:
        from ..models import length_limit, load_model

        model, tokenizer = load_model(options.model)
        limit = length_limit(model, options.max_length)
    found = check_file(options.data, options.kind, tokenizer, limit)
    findings = findings_of(found)
    print(found, *findings, sep="\n")
    return int(any(f.level == "problem" for f in findings))


def doctor_command(options) -> int:
    from ..data import holds_rows, read_rows
    from ..doctor import check_file, check_ours, diagnose, findings_of
    from ..models import frozen_copy, load_model
    from ..training import TrainConfig

    path = Path(options.what)
    if options.model:
        model, tokenizer = load_model(options.model)
        rows, _ = read_rows(path, skip_bad=True)
        findings = check_ours(model, frozen_copy(model), tokenizer, rows, TrainConfig())
    elif not holds_rows(path):
        found = diagnose(path)
        print(found)
        return int(bool(found.problems))
    else:
        checked = check_file(path)
        print(str(checked.report).splitlines()[0])
        findings = findings_of(checked)
    print(*findings or ["nothing wrong found"], sep="\n")
    return int(any(f.level == "problem" for f in findings))


def ratings_command(options) -> None:
    from ..lab.ratings import fetch

    counts = fetch(options.out, options.archive)
    print(", ".join(f"{n} {name}" for name, n in counts.items()), "in", options.out)
