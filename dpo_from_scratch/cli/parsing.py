"""The parser itself: a mistake is one line, the help fits a screen, shells can complete."""

import argparse
import math
from collections.abc import Callable
from difflib import get_close_matches

from ..processes import silent
from .defaults import LOSS_BETAS

FILES, FOLDERS = (
    ("data", "prompts", "what", "archive", "files"),
    ("out", "folder", "model", "reference"),
)


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that says what is wrong in one line, without all options above it."""

    def __init__(self, *given, **named):
        super().__init__(*given, formatter_class=Help, **named)

    def parse_args(self, *given):
        """As ever, but what a command does not know is its mistake, with a guess what is meant."""
        options, unknown = self.parse_known_args(*given)
        if unknown:
            command = self.commands.choices.get(options.command, self)
            near = get_close_matches(unknown[0], command._option_string_actions, 1)
            guess = f"; {near[0]} is meant?" if near else ""
            command.error(f"unrecognized arguments: {' '.join(unknown)}{guess}")
        return options

    def error(self, message: str):
        """Exit status 2, and one line."""
        if silent():  # the first of several processes says it
            self.exit(2)
        self.exit(2, f"{self.prog}: {message} (`{self.prog} --help` shows what there is)\n")


class Help(argparse.RawDescriptionHelpFormatter):
    """Room for the longest command's name, so that each command takes one line."""

    def __init__(self, prog: str, **named):
        super().__init__(prog, max_help_position=26, **named)


class PrintCompletion(argparse.Action):
    """Print what a shell reads to complete commands, options and their choices, and exit."""

    def __call__(self, parser, options, shell, option=None):
        """One sentence where shtab, which writes it, is missing."""
        try:
            import shtab
        except ImportError:
            parser.exit(2, f"{parser.prog}: completion needs shtab: pip install shtab\n")
        for command in parser.commands.choices.values():
            for action in command._actions:  # what shtab itself looks through
                if action.dest == "loss":
                    action.choices = list(LOSS_BETAS)
                elif action.dest in FILES + FOLDERS:
                    action.complete = shtab.FILE if action.dest in FILES else shtab.DIRECTORY
        print(shtab.complete(parser, shell))
        parser.exit()


def whole(least: int) -> Callable[[str], int]:
    """The type of an option: a whole number from `least` to twelve digits."""

    def read(text: str) -> int:
        if not least <= int(text) < 10**12:
            raise argparse.ArgumentTypeError(f"from {least} to twelve digits, not {text}")
        return int(text)

    read.__name__ = "whole number"  # as argparse names it where `text` is none
    return read


def number(text: str) -> float:
    """The type of an option: a finite number, 0 or more."""
    found = float(text)
    if not 0 <= found < math.inf:
        raise argparse.ArgumentTypeError(f"a finite number, 0 or more, not {text}")
    return found
