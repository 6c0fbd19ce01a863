"""`dpo iterate`: train in rounds that make their own pairs, or move the reference."""

from .options import (
    add_run_options,
    add_train_options,
    known_judges,
    load_here,
    name_of,
    notes,
    run_folder,
    stoppable,
    train_config,
)


def add_commands(add) -> None:
    """`iterate`, by `add(name, run, short, long)`, which returns the command's parser."""
    rounds = add(
        "iterate",
        iterate_command,
        "train in rounds: iterated or online DPO, sDPO, DNO",
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
        "list of responses, and returns a number for each, larger is better; a call may take ten "
        "minutes",
    )
    add_sampling_options(rounds)


def add_sampling_options(rounds) -> None:
    """What is sampled in a round, and which reference it is trained against."""
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
        "--max-new-tokens",
        type=int,
        help="iterated, dno: the longest answer; longer ones are cut off and left out (default: "
        "what the model's context leaves, at most 256)",
    )
    rounds.add_argument(
        "--moving-reference",
        action="store_true",
        help="iterated: the last round's policy is the reference (default: off; sdpo, dno: always)",
    )


def iterate_command(options) -> None:
    from ..judges import as_labeller, named_judge
    from ..processes.group import here
    from ..rounds import decides, in_rounds, plan
    from ..sampling import stream_of
    from ..training.fingerprints import fingerprint
    from ..training.folders import recorded

    if options.k < 2:
        why = "responses are compared with each other"
        raise ValueError(f"--k must be 2 or more, not {options.k}: {why}")
    config = train_config(options)
    print(f"options: {config}")
    judge, judge_name = named_judge(options.judge, known_judges())
    rows = rows_to_answer(options, config.skip_bad)
    model, tokenizer = load_here(options.model)
    rounds, moving = options.rounds, options.moving_reference or options.method != "iterated"
    by = decided(options, judge_name) | {"data": fingerprint(rows)}
    name = f"{name_of(options.model)}-{options.method}"
    settings = decides(model, config, rounds, moving, by)[0]
    out = here().from_first(lambda: run_folder(options, name, settings))
    if "stream" in by:
        by["stream"] = stream_of(recorded(out) if options.resume else None)
    samples = (by.get("k", 2), by.get("margin", 1.0), options.max_new_tokens)
    how = {"progress": True, "stream": by.get("stream", "row")}
    asked = (rows, as_labeller(judge), rounds, config, *samples)
    done = (out / f"round-{rounds}" / "model").exists() and not options.overwrite
    with notes(), stoppable(out):
        rows_of = plan(options.method, model, tokenizer, *asked, **how)
        whole = (model, tokenizer, rounds, rows_of, config, moving, out, options.resume)
        history = in_rounds(*whole, decided_by=by, overwrite=options.overwrite)
    if done:
        print(f"{out} holds this run, and it is finished: nothing was made again")
    for row in history:
        if row["step"] % (config.steps // rounds) == 0:
            last = f"last batch: loss {row['loss']:.4g}, accuracy {row['accuracy']:.3g}"
            print(f"round {row['round']}: {row['rows']} pairs, {last}")
    trained = out / f"round-{rounds}" / "model"
    print(f"the run: {out}   model: {trained}   each round's pairs lie beside its model")


def decided(options, judge_name: str) -> dict:
    """What decides the rounds beside model, data and the settings of training, in words."""
    out = {"method": options.method}
    if options.method != "sdpo":  # which asks no judge
        out |= {"judge": judge_name, "max_new_tokens": options.max_new_tokens, "stream": "row"}
    return out | ({"k": options.k, "margin": options.margin} if options.method == "dno" else {})


def rows_to_answer(options, skip_bad: bool) -> list[dict]:
    """sDPO's pairs, or the rows whose prompts are answered: of the file, or the review world's."""
    from ..data import DataError, kind_of, read_rows
    from ..world import prompts

    if options.method == "sdpo" and not options.data:
        raise DataError("sdpo needs --data, a file of pairs")
    if not options.data:
        return [{"prompt": p} for p in prompts("train")]
    kind = "pairs" if options.method == "sdpo" else kind_of(options.data)
    rows, report = read_rows(options.data, kind, skip_bad)
    print(report)
    return rows
