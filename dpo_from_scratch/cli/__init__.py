"""The command line: `dpo train`, `dpo sample`, `dpo score`. `dpo COMMAND --help` tells more.

A file a group of commands: train, iterate, feedback, read (sample, score), check
(check-data, doctor, fetch-human-ratings), book, teaching (grade, labels); options has what several
of them share. What is slow to load is imported where a command runs, so that help and mistakes
answer at once.
"""

import os
import sys
from contextlib import suppress

from .. import __version__
from ..processes import several, silent
from . import book, check, feedback, iterate, read, teaching, train
from .options import quiet_libraries
from .parsing import Parser, PrintCompletion

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
  what is in a file, and what is wrong with it or with a run
    dpo check-data pairs.jsonl
    dpo doctor runs/first
  the notebooks, with or without solutions
    dpo book my_book --student
  for teachers: marks for what was handed in (this runs it), a class's labels put together
    dpo grade handed_in --out marks.csv
    dpo labels merge labels/* --out class.jsonl
"""
SHARED = ("train", "iterate", "feedback", "score")  # by several processes, under torchrun
LOADS_MODELS = (*SHARED, "sample", "doctor")


def main(arguments: list[str] | None = None) -> int:
    """Run a command; returns the exit status.

    0, 1 if check-data or doctor found something wrong, 2 for any error (one sentence on stderr, or
    with --debug its traceback), 130 for Ctrl-C, 141 if nobody reads the output, 143 for SIGTERM.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError):  # a stream that some program has put there
            stream.reconfigure(errors="replace")  # a terminal without beta still gets the rest
    parser = make_parser()
    options = parser.parse_args(arguments)
    if not getattr(options, "run", None):
        parser.print_help()
        return 2
    try:
        if options.command in LOADS_MODELS:
            quiet_libraries()
        if several():
            enter(options.command)
        status = options.run(options) or 0
        sys.stdout.flush()  # a full disk is an error of this command, not of Python's end
        if several():
            part()
        return status
    except BrokenPipeError:  # as of `dpo sample | head`
        _let_go()
        return 141
    except Exception as error:
        _let_go()
        if options.debug:
            raise
        last(f"dpo {options.command}: {sentence(error)}", error)
        return 2
    except KeyboardInterrupt as error:
        _let_go()
        last(f"dpo {options.command}: stopped {error}", error)
        return 128 + getattr(error, "signal", 2)


def sentence(error: Exception) -> str:
    """An error in one line: ours say themselves what to mend, others get their kind and a hint."""
    told = " ".join(str(error).split("\n"))
    if isinstance(error, ImportError) and error.name:
        return f"{error.name.partition('.')[0]} is needed and can't be imported ({told})"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    if isinstance(error, ValueError | OSError) and told:  # DataError and ModelError among them
        return told
    return f"{type(error).__name__}: {told or 'no more is known'} (--debug shows where)"


def enter(command: str) -> None:
    """Meet the other processes that a launcher has started; DataError for what runs in one only."""
    from ..data import DataError
    from ..processes.group import join

    if silent():
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 (until the end)
    if command not in SHARED:
        names = ", ".join(f"`dpo {name}`" for name in SHARED)
        raise DataError(f"runs in one process: start it without torchrun, which is for {names}")
    join()


def part() -> None:
    """All processes have done their work."""
    from ..processes.group import leave

    leave()


def last(sentence: str, error: BaseException) -> None:
    """An error's sentence, once, however many processes there are; several end with it."""
    if not several():
        print(sentence, file=sys.stderr)
        return
    from ..processes.group import here
    from ..processes.watch import last_word

    last_word(sentence, error, here().watch)


def _let_go() -> None:
    """Bars that the error left open are wiped, so that its sentence has a line of its own.

    What stdout can't write any more is dropped, or Python tries again at its end and says so.
    """
    if "tqdm" in sys.modules:
        for bar in list(sys.modules["tqdm"].tqdm._instances):
            bar.close()
    try:
        sys.stdout.flush()
    except OSError:
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def make_parser() -> Parser:
    """The parser of all commands; `run` of what it returns is the command's function."""
    parser = Parser("dpo", description=DESCRIPTION)
    parser.add_argument("--version", action="version", version=f"dpo {__version__}")
    shells = ("bash", "zsh", "tcsh")
    told = "print what this shell reads to complete commands and options, and exit"
    parser.add_argument("--print-completion", action=PrintCompletion, choices=shells, help=told)
    parser.commands = parser.add_subparsers(
        dest="command", metavar="COMMAND", title="commands (`dpo COMMAND --help` has their options)"
    )

    def add(name: str, run, short: str, long: str = "") -> Parser:
        command = parser.commands.add_parser(name, help=short, description=long or short)
        command.add_argument(
            "--debug", action="store_true", help="show the whole traceback of an error"
        )
        command.set_defaults(run=run)
        return command

    for group in (train, iterate, feedback, read, check, book, teaching):
        group.add_commands(add)
    return parser
