"""`dpo feedback`: several responses to each prompt, a judge, pairs, DPO (Zephyr's recipe)."""

from pathlib import Path

from ..training.presets import FEEDBACK, FEEDBACK_GROUPS
from .options import (
    MODEL_HELP,
    add_train_options,
    known_judges,
    load_here,
    notes,
    run_folder,
    stoppable,
    train_config,
)


def add_commands(add) -> None:
    """`feedback`, by `add(name, run, short, long)`, which returns the command's parser."""
    command = add(
        "feedback",
        feedback_command,
        "responses, a judge, pairs, DPO: Zephyr's recipe",
        "several responses to each prompt, a judge, pairs, DPO (Zephyr's recipe)",
    )
    command.add_argument("--out", required=True, help="folder of the run")
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
        "and second response, and returns the probability that the first is better; a call may "
        "take ten minutes",
    )
    add_group_options(command, FEEDBACK_GROUPS)
    command.add_argument(
        "--overwrite", action="store_true", help="delete the run that --out holds, and begin anew"
    )
    add_train_options(command, FEEDBACK)


def add_group_options(command, groups: int) -> None:
    """How many responses, how long, what becomes a pair, and whether an earlier run goes on."""
    command.add_argument(
        "--rule",
        choices=("random", "worst"),
        default="random",
        help="what the best response of a group is paired with (default: random)",
    )
    command.add_argument(
        "--groups",
        type=int,
        default=groups,
        help=f"groups of four responses for each prompt, a pair each (default: {groups})",
    )
    command.add_argument(
        "--max-new-tokens",
        type=int,
        default=64,
        help="the longest response; longer ones are cut off and left out (default: 64)",
    )
    command.add_argument(
        "--resume",
        action="store_true",
        help="go on with what --out holds; stages that are there are not made again",
    )


def feedback_command(options) -> None:
    from ..feedback import STAGES, pipeline, rubric, vader
    from ..judges import as_scores, named_judge
    from ..losses import LOSSES

    config = train_config(options, FEEDBACK)
    if LOSSES[config.loss].needs == "texts":
        raise ValueError(f"the judge makes pairs, and loss {config.loss!r} takes texts alone")
    if options.groups < 1:
        raise ValueError(f"--groups must be 1 or more, not {options.groups}")
    out = run_folder(options, "", {})
    print(f"options: {config}")
    judge, judge_name = named_judge(options.judge, {"rubric": rubric} | known_judges())
    judge = as_scores(judge)
    if options.judge == "rubric":
        vader()  # says now what is missing, and not after the responses
    prompts = prompts_to_answer(options, config.skip_bad)
    model, tokenizer = load_here(options.model)
    done = (out / "dpo" / "model").exists() and not options.overwrite
    with notes(), stoppable(out):
        pairs, history = pipeline(
            out,
            model,
            tokenizer,
            prompts,
            judge,
            options.rule,
            options.groups,
            config,
            judge_name,
            options.max_new_tokens,
            options.resume,
            options.overwrite,
        )
    if done:
        print(f"{out} holds this run, and it is finished: nothing was made again")
    tell_cut_off(out / STAGES[0])
    accuracy = f"accuracy of the last step {history[-1]['accuracy']:.2f}"
    print(f"{len(pairs)} pairs; {accuracy}; the run: {out}   model: {out / 'dpo' / 'model'}")


def tell_cut_off(responses: Path) -> None:
    """How many responses were left out because they had not ended, if any were."""
    from ..judges import cut_off
    from ..training.stages import rows_of

    groups = rows_of(responses)
    cut = sum(group.get("cut_off", 0) for group in groups)
    if cut:
        kept = sum(len(group["responses"]) for group in groups)
        print(f"note: {cut_off(cut, kept + cut)}")


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
