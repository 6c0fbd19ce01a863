"""The parser itself: a mistake is one line, the help fits a screen, shells can complete."""

import argparse

FILES, FOLDERS = ("data", "prompts", "what", "archive"), ("out", "folder", "model", "reference")


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that says what is wrong in one line, without all options above it."""

    def __init__(self, *given, **named):
        super().__init__(*given, formatter_class=Help, **named)

    def error(self, message: str):
        """Exit status 2, and one line."""
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
                if action.dest in FILES + FOLDERS:
                    action.complete = shtab.FILE if action.dest in FILES else shtab.DIRECTORY
        print(shtab.complete(parser, shell))
        parser.exit()
