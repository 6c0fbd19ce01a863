"""`dpo feedback`: several responses to each prompt, a judge, pairs, DPO (Zephyr's recipe)."""

from pathlib import Path

from .options import MODEL_HELP, add_train_options, known_judges, train_config


def add_commands(add) -> None:
    """`feedback`, by `add(name, run, help_text)`, which returns the command's parser."""
    from ..feedback import DEFAULTS, ROUNDS

    command = add(
        "feedback",
        feedback_command,
        "several responses to each prompt, a judge, pairs, DPO (Zephyr's recipe)",
    )
    command.add_argument("--out", type=Path, required=True, help="folder of the run")
    command.add_argument("--model", default="smollm2", help=f"{MODEL_HELP} (default: smollm2)")
    command.add_argument(
        "--prompts",
        help='JSON Lines (.gz too) of {"prompt": ...}, strings or messages (default: 24 prompts '
        "that ask for short reviews; with --judge reviews or panel those of the review world)",
    )
    command.add_argument(
        "--judge",
        default="rubric",
        help="rubric (default), reviews, panel, or FILE.py:FUNCTION, which gets prompt and a list "
        "of responses, and returns a number for each, larger is better; or it gets prompt, first "
        "and second response, and returns the probability that the first is better",
    )
    command.add_argument(
        "--rule",
        choices=("random", "worst"),
        default="random",
        help="what the best response of a group is paired with (default: random)",
    )
    command.add_argument(
        "--groups",
        type=int,
        default=ROUNDS,
        help=f"groups of four responses for each prompt, a pair each (default: {ROUNDS})",
    )
    command.add_argument(
        "--resume",
        action="store_true",
        help="go on with what --out holds; stages that are there are not made again",
    )
    add_train_options(command, DEFAULTS)


def feedback_command(options) -> None:
    from ..feedback import DEFAULTS, pipeline, rubric, vader
    from ..judges import as_scores, load_judge
    from ..losses import LOSSES
    from ..models import load_model

    config = train_config(options, DEFAULTS)
    if LOSSES[config.loss].needs == "texts":
        raise ValueError(f"the judge makes pairs, and loss {config.loss!r} takes texts alone")
    if options.groups < 1:
        raise ValueError(f"--groups must be 1 or more, not {options.groups}")
    print(f"options: {config}")
    judge = as_scores(load_judge(options.judge, {"rubric": rubric} | known_judges()))
    if options.judge == "rubric":
        vader()  # says now what is missing, and not after the responses
    refuse_to_mix(options.out, options.resume)
    prompts = prompts_to_answer(options, config.skip_bad)
    try:
        model, tokenizer = load_model(options.model)
        pairs, history = pipeline(
            options.out, model, tokenizer, prompts, judge, options.rule, options.groups, config
        )
    except KeyboardInterrupt:
        # of the whole run: the folder that training names is that of the last stage
        told = f"before its end; {options.out} goes on with --resume"
        raise KeyboardInterrupt(told) from None
    accuracy = f"accuracy of the last step {history[-1]['accuracy']:.2f}"
    print(f"{len(pairs)} pairs; {accuracy}; the model: {options.out / 'dpo' / 'model'}")


def refuse_to_mix(folder: Path, resume: bool) -> None:
    """DataError if the folder holds stages of an earlier run and nobody asked to go on with it."""
    from ..data import DataError
    from ..feedback import STAGES

    found = [name for name in STAGES if (folder / name).exists()]
    if found and not resume:
        choice = "go on with --resume, or name another folder with --out"
        raise DataError(f"{folder} holds {', '.join(found)} of an earlier run: {choice}")


def prompts_to_answer(options, skip_bad: bool) -> list:
    """The prompts of the file, strings or messages; without one, those that fit the judge."""
    from .. import world
    from ..data import read_rows
    from ..feedback import PROMPTS

    if not options.prompts:
        return world.prompts("train") if options.judge in known_judges() else PROMPTS
    rows, report = read_rows(options.prompts, "prompts", skip_bad)
    print(report)
    return [row["prompt"] for row in rows]
