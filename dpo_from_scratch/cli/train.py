"""`dpo train` and `dpo iterate`: train on a file of rows, or in rounds that make their own."""

import json
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from .options import MODEL_HELP, add_train_options, known_judges, load_reference, train_config


def add_commands(add) -> None:
    """`train` and `iterate`, by `add(name, run, help_text)`, which returns the command's parser."""
    training = add(
        "train",
        train_command,
        "train a model on preference pairs (thumbs: --loss kto or bco; texts: --loss sft)",
    )
    training.add_argument(
        "--data",
        required=True,
        help="JSON Lines (.gz too): prompt, chosen, rejected, or HH-RLHF transcripts",
    )
    training.add_argument(
        "--reference", help="another reference model (default: the model as it starts)"
    )
    rounds = add(
        "iterate",
        iterate_command,
        "train in rounds that change the data or the reference: iterated DPO, sDPO, DNO",
    )
    add_round_options(rounds)
    for command in (training, rounds):
        command.add_argument("--model", default="tiny", help=f"{MODEL_HELP} (default: tiny)")
        command.add_argument(
            "--out", default="runs/latest", help="folder of the run (default: runs/latest)"
        )
        command.add_argument("--resume", action="store_true", help="go on with what --out holds")
        add_train_options(command)


def add_round_options(rounds) -> None:
    """What `dpo iterate` has beyond the options of `dpo train`."""
    rounds.add_argument(
        "--method",
        choices=("iterated", "sdpo", "dno"),
        default="iterated",
        help="default: iterated",
    )
    rounds.add_argument(
        "--rounds", type=int, default=3, help="a run of --steps / rounds steps each (default: 3)"
    )
    rounds.add_argument(
        "--data",
        help="sdpo: pairs; else rows whose prompts are answered "
        "(default: those of the review world)",
    )
    rounds.add_argument(
        "--judge",
        default="reviews",
        help="reviews (default), panel, or FILE.py:FUNCTION, which gets prompt, first and second "
        "response, and returns the probability that the first is better; or it gets prompt and a "
        "list of responses, and returns a number for each, larger is better",
    )
    rounds.add_argument(
        "--k", type=int, default=5, help="dno: samples for each prompt (default: 5)"
    )
    rounds.add_argument(
        "--margin",
        type=float,
        default=0.5,
        help="dno: least difference of win rates (default: 0.5)",
    )
    rounds.add_argument(
        "--moving-reference",
        action="store_true",
        help="iterated: the last round's policy is the reference",
    )


def train_command(options) -> None:
    from ..data import read_rows
    from ..doctor import guess_kind
    from ..losses import LOSSES
    from ..models import load_model
    from ..training import train

    config = train_config(options)
    print(f"options: {config}")
    kind = LOSSES[config.loss].needs
    if kind == "labels" and guess_kind(options.data) == "pairs":
        print(f"{options.data} holds pairs: each becomes a liked and a disliked response")
        kind = "pairs"
    rows, report = read_rows(options.data, kind, config.skip_bad)
    print(report)
    model, tokenizer = load_model(options.model)
    reference = load_reference(options.reference, tokenizer) if options.reference else None
    findings = None
    if kind == "pairs" == LOSSES[config.loss].needs and not options.resume:
        findings = examine(model, reference, tokenizer, rows, config)
    history = train(model, tokenizer, rows, config, options.out, reference, resume=options.resume)
    if findings is not None:
        told = json.dumps([asdict(f) for f in findings], indent=1) + "\n"
        (Path(options.out) / "doctor.json").write_text(told)
    for row in history[:1] + history[1:][-1:]:
        columns = ", ".join(f"{k} {row[k]:.4g}" for k in row if k != "step")
        print(f"step {row['step']}: {columns}")
    print(f"model: {Path(options.out) / 'model'}   metrics: {Path(options.out) / 'metrics.jsonl'}")


def examine(model, reference, tokenizer, rows: list[dict], config) -> list | None:
    """What the doctor finds before the first step, printed; None where fewer than two pairs fit."""
    from ..data import DataError
    from ..doctor import check_ours
    from ..models import frozen_copy

    with suppress(DataError):  # train says so, or trains on the one
        theirs = frozen_copy(model) if reference is None else reference
        findings = check_ours(model, theirs, tokenizer, rows, config)
        print(*findings, sep="\n", end="\n" if findings else "")
        return findings
    return None


def iterate_command(options) -> None:
    from ..judges import as_labeller, load_judge
    from ..models import load_model
    from ..rounds import in_rounds, plan

    if options.k < 2:
        why = "responses are compared with each other"
        raise ValueError(f"--k must be 2 or more, not {options.k}: {why}")
    config = train_config(options)
    print(f"options: {config}")
    judge = as_labeller(load_judge(options.judge, known_judges()))
    rows = rows_to_answer(options, config.skip_bad)
    model, tokenizer = load_model(options.model)
    samples = (options.k, options.margin) if options.method == "dno" else ()
    rounds = options.rounds
    rows_of = plan(options.method, model, tokenizer, rows, judge, rounds, config, *samples)
    moving = options.moving_reference or options.method != "iterated"
    history = in_rounds(
        model, tokenizer, rounds, rows_of, config, moving, options.out, options.resume
    )
    for row in history:
        if row["step"] % (config.steps // rounds) == 0:
            last = f"last batch: loss {row['loss']:.4g}, accuracy {row['accuracy']:.3g}"
            print(f"round {row['round']}: {row['rows']} pairs, {last}")
    trained = Path(options.out) / f"round-{rounds}" / "model"
    print(f"model: {trained}   each round's pairs lie beside its model")


def rows_to_answer(options, skip_bad: bool) -> list[dict]:
    """sDPO's pairs, or the rows whose prompts are answered: of the file, or the review world's."""
    from ..data import DataError, read_rows
    from ..doctor import guess_kind
    from ..world import prompts

    if options.method == "sdpo" and not options.data:
        raise DataError("sdpo needs --data, a file of pairs")
    if not options.data:
        return [{"prompt": p} for p in prompts("train")]
    kind = "pairs" if options.method == "sdpo" else guess_kind(options.data)
    rows, report = read_rows(options.data, kind, skip_bad)
    print(report)
    return rows
