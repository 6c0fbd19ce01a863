"""The API page, made at build time from docstrings, the registry of losses and the parser of `dpo`.

notebooks/api.md says in comments what stands where; Sphinx's autodoc reads the docstrings. Ours
are plain sentences and formulas, so before reStructuredText reads them its marks are taken out.
"""

import argparse
import ast
import inspect
import re
from dataclasses import fields
from functools import cache
from importlib import import_module

PACKAGE = "dpo_from_scratch"
ROOMS = ("losses", "training", "data", "doctor", "world", "rlhf")  # their __init__ shows all
MARK = re.compile(r"<!-- (losses|settings|commands|names of ([\w.]+)(?:: ([\w, ]+))?) -->")
ARXIV = re.compile(r"arXiv (\d{4}\.\d{5})")
OPTION = re.compile(r"(?<![\w`-])(--[a-z][a-z-]*)")
PAPER = "[{0}](https://arxiv.org/abs/{0})"


def fill(text: str) -> str:
    """A page with what its comments ask for."""
    makers = {"losses": losses, "settings": settings, "commands": commands}

    def make(found: re.Match) -> str:
        return makers[found[1]]() if found[1] in makers else entries(found[2], found[3])

    return MARK.sub(make, text)


# ---------------------------------------------------------------- names
def exported(module: str) -> list[str]:
    """The public names that a room's __init__ imports from its files; losses as the registry."""
    from dpo_from_scratch.losses import LOSSES

    tree = ast.parse(inspect.getsource(import_module(f"{PACKAGE}.{module}")))
    found = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level]
    names = [alias.name for node in found for alias in node.names]
    first = [loss.fn.__name__ for loss in LOSSES.values() if module == "losses"]
    return list(dict.fromkeys([*first, *names]))


def entries(module: str, listed: str | None) -> str:
    """A heading and a docstring for each name of a module; values are named in one sentence."""
    names = re.split(r", *", listed) if listed else exported(module)
    things = {name: getattr(import_module(f"{PACKAGE}.{module}"), name) for name in names}
    parts = [entry(module, name, thing) for name, thing in things.items() if callable(thing)]
    rest = [name for name, thing in things.items() if not callable(thing)]
    if rest:
        parts.append(f"Values: {', '.join(f'`{module}.{name}`' for name in rest)}.")
    return "\n\n".join(parts)


def entry(module: str, name: str, thing) -> str:
    """What autodoc makes of a function, a class with its documented members, or an exception."""
    kind, more = "function", []
    if isinstance(thing, type):
        kind, more = "class", ["   :members:"]
        kind, more = ("exception", []) if issubclass(thing, Exception) else (kind, more)
    title = name if kind == "function" else f"{kind} {name}"  # gibbs and class Gibbs
    return rst(f"### {title}", [f".. auto{kind}:: {PACKAGE}.{module}.{name}", *more])


def rst(heading: str, lines: list[str]) -> str:
    """A heading in Markdown, and below it lines for Sphinx's own directives."""
    return "\n".join([heading, "", "```{eval-rst}", *lines, "```"])


# ---------------------------------------------------------------- tables
def losses() -> str:
    """The registry: a row for each loss, with the names of what a user may set."""
    from dpo_from_scratch.losses import LOSSES

    rows = []
    for name, loss in LOSSES.items():
        options = ", ".join(f"`{key}` {value}" for key, value in loss.defaults.items())
        paper = PAPER.format(loss.paper) if loss.paper[0].isdigit() else f"<https://{loss.paper}>"
        title = f"{loss.title}, {paper}" + ("" if loss.needs == "pairs" else f"; on {loss.needs}")
        title = f"[`{name}`](#{loss.fn.__name__}) {title}"
        rows.append([title, f"`{loss.equation}`", options])
    return table("losses", ["Loss", "Equation", "Options"], rows)


def settings() -> str:
    """The fields of TrainConfig, from their help texts."""
    from dpo_from_scratch.training import TrainConfig

    rows = [
        [f"`{f.name}`", f"`{f.default!r}`", re.sub(r'"([^"]+)"', r"`\1`", f.metadata["help"])]
        for f in fields(TrainConfig)
    ]
    return table("settings", ["Field", "Default", "Meaning"], rows)


def table(kind: str, head: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown that becomes blocks on a phone."""
    lines = [head, ["---"] * len(head), *([cell.replace("|", r"\|") for cell in r] for r in rows)]
    body = [f"| {' | '.join(cells)} |" for cells in lines]
    return "\n".join(["```{table}", f":class: stacked {kind}", "", *body, "```"])


# ---------------------------------------------------------------- commands
def commands() -> str:
    """Each command of `dpo` with its options; what it shares with `dpo train` is named only."""
    from dpo_from_scratch.cli import make_parser

    parser = make_parser()
    parts, seen = [rst("### Without a command", options("dpo", parser))], {}
    for name, command in parser.commands.choices.items():
        own = {action.dest: told(command, action) for action in actions(command)}
        same = [dest for dest, text in own.items() if text == seen.get(dest)]
        lines = [plain(command.description), "", *options(f"dpo {name}", command, same)]
        if same:
            shared = (f"``--{dest.replace('_', '-')}``" for dest in same)
            lines += ["", f"And, as in ``dpo train``: {', '.join(shared)}."]
        parts.append(rst(f"### dpo {name}", lines))
        seen = seen or own  # those of the first, which is train
    return "\n\n".join(parts)


def actions(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """What a user may write after a command, but for its help and the list of commands."""
    kinds = argparse._HelpAction | argparse._SubParsersAction
    return [action for action in parser._actions if not isinstance(action, kinds)]


def told(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    """An option's help, as the parser itself would print it."""
    return parser._get_formatter()._expand_help(action)


def options(program: str, parser: argparse.ArgumentParser, left_out=()) -> list[str]:
    """Sphinx's directives for the options of a command."""
    lines = [f".. program:: {program}", ""]
    for action in actions(parser):
        if action.dest in left_out:
            continue
        name = action.dest.upper() if action.option_strings else action.dest
        value = "" if action.nargs == 0 else action.metavar or name
        if action.choices and action.option_strings:  # an argument goes by its name
            value = "{" + ",".join(action.choices) + "}"
        names = [f"{name} {value}".strip() for name in action.option_strings] or [value]
        needed = " (required)" if action.required and action.option_strings else ""
        text = plain(told(parser, action) + needed)
        lines += [f".. option:: {', '.join(names)}", "", f"   {text}", ""]
    return lines


# ---------------------------------------------------------------- docstrings
@cache
def linked(room: str) -> set[str]:
    """The names of a room that have an entry, to which its docstrings link."""
    module = import_module(f"{PACKAGE}.{room}")
    return {name for name in exported(room) if callable(getattr(module, name))}


def plain(text: str, module: str = "") -> str:
    """A paragraph for reStructuredText: nothing in it is a mark but `code` and papers' numbers."""
    words = re.split(r"`([^`]*)`", OPTION.sub(r"`\1`", " ".join(text.split())))
    for i, word in enumerate(words):
        if i % 2 == 0:
            word = re.sub(r"([\\*|_])", r"\\\1", word)
            words[i] = ARXIV.sub(r"`arXiv \1 <https://arxiv.org/abs/\1>`__", word)
            continue
        room, _, name = word.rpartition(".")
        target = f"{PACKAGE}.{room or module}.{name}"
        known = (room or module) in ROOMS and name in linked(room or module)
        words[i] = f":py:obj:`{word} <{target}>`" if known else f"``{word}``"
    return "".join(words)


def read_docstring(app, what, name, thing, options, lines):
    """autodoc has a docstring: its paragraphs, in words that reStructuredText leaves alone."""
    module = name.removeprefix(f"{PACKAGE}.").split(".")[0]
    paragraphs = re.split(r"\n\s*\n", "\n".join(lines).strip())
    lines[:] = [line for text in paragraphs for line in (plain(text, module), "")]


def keep_quotes(app, domain, kind, content):
    """In an entry "a" is code: its quotes stay straight."""
    content["support_smartquotes"] = False


def read_signature(app, what, name, thing, options, signature, returns):
    """TrainConfig's fields stand in a table of their own."""
    return ("", None) if name.endswith(".TrainConfig") else None
