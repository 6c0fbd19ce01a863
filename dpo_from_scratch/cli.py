"""The command line: `dpo train`, `dpo sample`, `dpo score`. `dpo COMMAND --help` tells more."""

import argparse
import json
import sys
from contextlib import suppress
from dataclasses import asdict, fields
from pathlib import Path

from .data import KEYS, DataError
from .losses import LOSSES
from .models import ModelError

DESCRIPTION = """Direct Preference Optimization, from the notebooks to real models.

  dpo train   --data pairs.jsonl --model gpt2 --out runs/first    train on preference pairs
  dpo sample  --model runs/first/model --prompt "..."             see what it writes
  dpo score   --model runs/first/model --reference gpt2 --data pairs.jsonl    implicit rewards of pairs
  dpo iterate --method iterated --model gpt2 --data prompts.jsonl --judge my_judge.py:judge    its own samples, in rounds
"""


def main(arguments: list[str] | None = None) -> int:
    """Run a command; returns the exit status.

    0, 1 if check-data or doctor found something wrong, 2 for what the user can mend (one sentence on stderr), 130 for Ctrl-C.
    """
    parser = make_parser()
    options = parser.parse_args(arguments)
    if not getattr(options, "run", None):
        parser.print_help()
        return 2
    if options.command in ("train", "iterate", "sample", "score", "doctor"):
        quiet_libraries()
    try:
        return options.run(options) or 0
    except (DataError, ModelError, ValueError, OSError) as error:
        if options.debug:
            raise
        print(f"dpo {options.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as error:
        print(f"dpo {options.command}: stopped {error}", file=sys.stderr)
        return 130


def quiet_libraries() -> None:
    """No progress bars for loading, no retry messages: what goes wrong is said in one sentence at the end."""
    import huggingface_hub
    import transformers

    transformers.utils.logging.disable_progress_bar()
    huggingface_hub.utils.logging.set_verbosity_error()


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("dpo", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")

    def add(name, run, help_text, **kwargs):
        command = commands.add_parser(name, help=help_text, description=help_text, **kwargs)
        command.add_argument("--debug", action="store_true", help="show the whole traceback of an error")
        command.set_defaults(run=run)
        return command

    training = add("train", train_command, "train a model on preference pairs (thumbs: --loss kto or bco; texts: --loss sft)")
    training.add_argument("--data", required=True, help="JSON Lines (.gz too): prompt, chosen, rejected, or HH-RLHF transcripts")
    training.add_argument("--reference", help="another reference model (default: the model as it starts)")
    rounds = add("iterate", iterate_command, "train in rounds that change the data or the reference: iterated DPO, sDPO, DNO")
    rounds.add_argument("--method", choices=("iterated", "sdpo", "dno"), default="iterated", help="default: iterated")
    rounds.add_argument("--rounds", type=int, default=3, help="a run of --steps / rounds steps each (default: 3)")
    rounds.add_argument("--data", help="sdpo: pairs; else rows whose prompts are answered (default: those of the review world)")
    rounds.add_argument("--judge", default="reviews", help="reviews (default), panel, or FILE.py:FUNCTION, which gets prompt, "
                        "first and second response, and returns the probability that the first is better")  # fmt: skip
    rounds.add_argument("--k", type=int, default=5, help="dno: samples for each prompt (default: 5)")
    rounds.add_argument("--margin", type=float, default=0.5, help="dno: least difference of win rates (default: 0.5)")
    rounds.add_argument("--moving-reference", action="store_true", help="iterated: the last round's policy is the reference")
    for command in (training, rounds):
        command.add_argument("--model", default="tiny", help='"tiny", "smollm2", a folder, or a hub id like gpt2 (default: tiny)')
        command.add_argument("--out", default="runs/latest", help="folder of the run (default: runs/latest)")
        command.add_argument("--resume", action="store_true", help="go on with what --out holds")
        add_train_options(command)
    add_reading_commands(add)
    return parser


def add_reading_commands(add) -> None:
    """The commands that read a model or a file and train nothing."""
    sampling = add("sample", sample_command, "write responses to prompts")
    sampling.add_argument("--model", default="tiny", help='"tiny", "smollm2", a folder, or a hub id (default: tiny)')
    sampling.add_argument("--prompt", action="append", help="a prompt; may be given again (default: three of the review world)")
    sampling.add_argument("--chat", action="store_true", help="hand the prompt to the model's chat template as a user's message")
    sampling.add_argument("--n", type=int, default=1, help="responses for each prompt (default: 1)")
    sampling.add_argument("--temperature", type=float, default=1.0, help="0 is greedy (default: 1.0)")
    sampling.add_argument("--max-new-tokens", type=int, help="default: what the context leaves, at most 256")
    sampling.add_argument("--seed", type=int, default=0)

    checking = add("check-data", check_data_command, "say what is in a file of pairs, labels or texts, and what is wrong with it")
    checking.add_argument("data", help="JSON Lines, .gz too")
    checking.add_argument("--kind", choices=KEYS, help="default: what the first lines look like")
    checking.add_argument("--model", help="count this model's tokens, and what its context cuts off, instead of words")
    checking.add_argument("--max-length", type=int, default=0, help="tokens a row may have; 0: what the model can read")

    doctor = add("doctor", doctor_command, "say what is wrong with a run, a file of pairs, or a model on such a file")
    doctor.add_argument("what", help="runs/NAME, a metrics.jsonl, TRL's trainer_state.json, or a file of pairs")
    doctor.add_argument("--model", help="score the pairs with this model and look at tokens, masks and precision")

    ratings = add("fetch-human-ratings", ratings_command, "fetch people's ratings of film-review sentences and make pairs of them")
    ratings.add_argument("--out", default="human_ratings", help="folder for train.jsonl and test.jsonl (default: human_ratings)")
    ratings.add_argument("--archive", help="the source archive of vaderSentiment 3.3.2, if you have it already")

    scoring = add("score", score_command, "print log-probabilities of pairs, or with --reference their implicit rewards")
    scoring.add_argument("--model", required=True, help='"tiny", "smollm2", a folder, or a hub id')
    scoring.add_argument("--data", required=True, help="JSON Lines with prompt, chosen, rejected")
    scoring.add_argument("--reference", help="the model that training started from")
    scoring.add_argument("--beta", type=float, default=0.1, help="of the implicit reward beta * log-ratio (default: 0.1)")
    scoring.add_argument("--max-length", type=int, default=0, help="tokens a row may have; 0: what the model can read")
    scoring.add_argument("--skip-bad", action="store_true", help="leave out rows that can't be used, and count them")


def add_train_options(parser: argparse.ArgumentParser) -> None:
    """One option for each field of TrainConfig; what is not given comes from the preset."""
    from .training import PRESETS, TrainConfig

    parser.add_argument("--preset", choices=PRESETS, help="a set of settings (default: the one named like the model, else gpt2)")
    for f in fields(TrainConfig):
        name, text = "--" + f.name.replace("_", "-"), f"{f.metadata['help']} (without a preset: {f.default})".replace("%", "%%")
        if isinstance(f.default, bool):
            parser.add_argument(name, action="store_true", default=None, help=text)
        else:
            choices = list(LOSSES) if f.name == "loss" else None
            parser.add_argument(name, type=type(f.default), help=text, choices=choices, metavar=None if choices else f.name.upper())


def train_config(options: argparse.Namespace):
    """The TrainConfig of a command line: the preset, then what was given."""
    from .training import PRESETS, TrainConfig

    preset = options.preset or (options.model if options.model in PRESETS else "gpt2")
    given = {f.name: getattr(options, f.name) for f in fields(TrainConfig) if getattr(options, f.name) is not None}
    return TrainConfig(**(PRESETS[preset] | given))


def train_command(options) -> None:
    from .checking import guess_kind
    from .data import read_rows
    from .doctor import check_ours
    from .models import frozen_copy, load_model
    from .training import train

    config = train_config(options)
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
        with suppress(DataError):  # fewer than two pairs fit: train says so, or trains on the one
            findings = check_ours(model, frozen_copy(model) if reference is None else reference, tokenizer, rows, config)
            print(*findings, sep="\n", end="\n" if findings else "")
    history = train(model, tokenizer, rows, config, options.out, reference, resume=options.resume)
    if findings is not None:
        (Path(options.out) / "doctor.json").write_text(json.dumps([asdict(f) for f in findings], indent=1) + "\n")
    for row in history[:1] + history[1:][-1:]:
        print("step {step}: ".format(**row) + ", ".join(f"{k} {row[k]:.4g}" for k in row if k != "step"))
    print(f"model: {Path(options.out) / 'model'}   metrics: {Path(options.out) / 'metrics.jsonl'}")


def iterate_command(options) -> None:
    from .checking import guess_kind
    from .data import read_rows
    from .models import load_model
    from .online import in_rounds, load_judge, plan
    from .world import prompts

    if options.k < 2:
        raise ValueError(f"--k must be 2 or more, not {options.k}: responses are compared with each other")
    config, (model, tokenizer) = train_config(options), load_model(options.model)
    rows = [{"prompt": p} for p in prompts("train")]
    if options.data or options.method == "sdpo":
        if not options.data:
            raise DataError("sdpo needs --data, a file of pairs")
        rows, report = read_rows(options.data, "pairs" if options.method == "sdpo" else guess_kind(options.data), config.skip_bad)
        print(report)
    samples = (options.k, options.margin) if options.method == "dno" else ()
    rows_of = plan(options.method, model, tokenizer, rows, load_judge(options.judge), options.rounds, config, *samples)
    moving = options.moving_reference or options.method != "iterated"
    history = in_rounds(model, tokenizer, options.rounds, rows_of, config, moving, options.out, options.resume)
    for row in history:
        if row["step"] % (config.steps // options.rounds) == 0:
            print("round {round}: {rows} pairs, last batch: loss {loss:.4g}, accuracy {accuracy:.3g}".format(**row))
    print(f"model: {Path(options.out) / f'round-{options.rounds}' / 'model'}   each round's pairs lie beside its model")


def load_reference(name: str, tokenizer):
    """A reference model that reads the same tokens as the policy; ModelError if it does not."""
    from .models import load_model

    reference, other = load_model(name)
    if other.get_vocab() != tokenizer.get_vocab():
        raise ModelError(f"the reference {name!r} reads other tokens than the model: their log-probabilities can't be compared")
    return reference


def sample_command(options) -> None:
    from .models import load_model
    from .sampling import sample
    from .world import prompts

    model, tokenizer = load_model(options.model)
    asked = options.prompt or prompts("test")[:3]
    if options.chat:
        asked = [[{"role": "user", "content": p}] for p in asked]
    asked = [p for p in asked for _ in range(options.n)]
    how = {"temperature": options.temperature, "max_new_tokens": options.max_new_tokens, "seed": options.seed}
    for s in sample(model, tokenizer, asked, **how):
        print(json.dumps({"prompt": s.prompt, "completion": s.text, "finished": s.finished}, ensure_ascii=False))


def check_data_command(options) -> int:
    from .checking import check_file

    tokenizer = limit = None
    if options.model:
        from .models import context_length, load_model

        model, tokenizer = load_model(options.model)
        limit = options.max_length or context_length(model)
    found = check_file(options.data, options.kind, tokenizer, limit)
    print(found)
    return int(found.report.left_out.total() > 0)


def doctor_command(options) -> int:
    from .doctor import check_data, check_ours, check_run

    path = Path(options.what)
    if options.model:
        from .data import read_rows
        from .models import frozen_copy, load_model
        from .training import TrainConfig

        model, tokenizer = load_model(options.model)
        findings = check_ours(model, frozen_copy(model), tokenizer, read_rows(path, skip_bad=True)[0], TrainConfig())
    else:
        findings = check_run(path) if path.is_dir() or path.suffix == ".json" or path.name == "metrics.jsonl" else check_data(path)
    print(*findings or ["nothing wrong found"], sep="\n")
    return int(any(f.level == "problem" for f in findings))


def ratings_command(options) -> None:
    from .ratings import fetch

    counts = fetch(options.out, options.archive)
    print(", ".join(f"{n} {name}" for name, n in counts.items()), "in", options.out)


def score_command(options) -> None:
    from .data import read_rows
    from .models import Scorer, context_length, load_model, pad_id
    from .tokens import encode_rows
    from .training import score_examples

    rows, report = read_rows(options.data, "pairs", options.skip_bad)
    model, tokenizer = load_model(options.model)
    pairs, cut = encode_rows(tokenizer, rows, options.max_length or context_length(model), options.skip_bad)
    flat = [e for pair in pairs for e in pair]
    scores = score_examples(Scorer(model), flat, pad_id(tokenizer)).view(-1, 2)
    keys = ["chosen_logps", "rejected_logps"]
    if options.reference:
        reference = load_reference(options.reference, tokenizer)
        before = score_examples(Scorer(reference), flat, pad_id(tokenizer)).view(-1, 2)
        scores, keys = options.beta * (scores - before), ["chosen_rewards", "rejected_rewards"]
    for chosen, rejected in scores.tolist():
        print(json.dumps({keys[0]: chosen, keys[1]: rejected}))
    right = (scores[:, 0] > scores[:, 1]).double().mean()
    left_out = report.left_out.total() + cut.left_out.total()
    what = "implicit reward" if options.reference else "log-probability"
    print(f"{len(scores)} pairs, {left_out} left out; {what} of the chosen above the rejected in {right:.3f}", file=sys.stderr)
