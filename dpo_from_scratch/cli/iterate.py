"""`dpo iterate`: train in rounds that make their own pairs, or move the reference."""

from pathlib import Path

from .options import add_run_options, add_train_options, known_judges, train_config


def add_commands(add) -> None:
    """`iterate`, by `add(name, run, help_text)`, which returns the command's parser."""
    rounds = add(
        "iterate",
        iterate_command,
        "train in rounds that change the data or the reference: iterated DPO, sDPO, DNO",
    )
    add_round_options(rounds)
    add_run_options(rounds)
    add_train_options(rounds)


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
