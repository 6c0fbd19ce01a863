"""The command line: `dpo train`, `dpo sample`, `dpo score`. `dpo COMMAND --help` tells more.

A file a group of commands: train, iterate, feedback, read (sample, score), check
(check-data, doctor, fetch-human-ratings), book; options has what several of them share.
"""

import argparse
import sys

from . import book, check, feedback, iterate, read, train
from .options import quiet_libraries

DESCRIPTION = """Direct Preference Optimization, from the notebooks to real models.

  train on preference pairs
    dpo train --data pairs.jsonl --model gpt2 --out runs/first
  see what it writes, and the implicit rewards of pairs
    dpo sample --model runs/first/model --prompt "..."
    dpo score --model runs/first/model --reference gpt2 --data pairs.jsonl
  its own samples, in rounds
    dpo iterate --method iterated --model gpt2 --data prompts.jsonl --judge my_judge.py:judge
  several responses to each prompt, a judge, pairs, DPO
    dpo feedback --model smollm2 --prompts prompts.jsonl --out runs/second
  the notebooks, with or without solutions
    dpo book my_book --student
"""
LOADS_MODELS = ("train", "iterate", "feedback", "sample", "score", "doctor")


def main(arguments: list[str] | None = None) -> int:
    """Run a command; returns the exit status.

    0, 1 if check-data or doctor found something wrong, 2 for what the user can mend (one sentence
    on stderr), 130 for Ctrl-C, 143 for SIGTERM.
    """
    parser = make_parser()
    options = parser.parse_args(arguments)
    if not getattr(options, "run", None):
        parser.print_help()
        return 2
    if options.command in LOADS_MODELS:
        quiet_libraries()
    try:
        return options.run(options) or 0
    except (ValueError, OSError) as error:  # DataError and ModelError are ValueErrors
        if options.debug:
            raise
        print(f"dpo {options.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as error:
        print(f"dpo {options.command}: stopped {error}", file=sys.stderr)
        return 128 + getattr(error, "signal", 2)


def make_parser() -> argparse.ArgumentParser:
    """The parser of all commands; `run` of what it returns is the command's function."""
    parser = argparse.ArgumentParser(
        "dpo", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")

    def add(name: str, run, help_text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=help_text, description=help_text)
        command.add_argument(
            "--debug", action="store_true", help="show the whole traceback of an error"
        )
        command.set_defaults(run=run)
        return command

    for group in (train, iterate, feedback, read, check, book):
        group.add_commands(add)
    return parser
