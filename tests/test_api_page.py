"""The API page has every public name and only names that exist; so has the table of TRL's names."""

import argparse
import dataclasses
import html
import inspect
import re
import sys
from importlib import import_module
from pathlib import Path

import pytest
import torch
from test_website import exists

from dpo_from_scratch import world
from dpo_from_scratch.cli import make_parser
from dpo_from_scratch.doctor.logs import TRL_NAMES
from dpo_from_scratch.losses import LOSSES
from dpo_from_scratch.models import frozen_copy, save_model
from dpo_from_scratch.training import TrainConfig, train

pytest.importorskip("sphinx")
ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "website"))
api = import_module("api")
TRL = (ROOT / "notebooks" / "trl.md").read_text(encoding="utf-8")
FIELDS = {f.name for f in dataclasses.fields(TrainConfig)}


def words(page: str) -> str:
    """A page as a person reads it: text alone, with single spaces and straight quotes."""
    text = html.unescape(re.sub(r"<[^>]+>", "", page)).replace("¶", "").replace("’", "'")
    return " ".join(text.split())


@pytest.fixture(scope="module")
def page(site):
    return (site / "api.html").read_text(encoding="utf-8")


def section(page: str, name: str) -> str:
    """A section of the page, up to the next of its level or above."""
    start = page.index(f'<section id="{name}"')
    return page[start : page.find("<section", start + 1)]


# ---------------------------------------------------------------- the API page
def test_every_loss_is_there_with_equation_paper_options_and_docstring(page):
    table = re.search(r'<table class="[^"]*losses[^"]*".*?</table>', page, re.S)[0]
    rows = dict(
        re.findall(r"<tr[^>]*><td[^>]*>.*?<span class=\"pre\">(\w+)<(.*?)</tr>", table, re.S)
    )
    assert list(rows) == list(LOSSES)
    for name, loss in LOSSES.items():
        told = words("<" + rows[name])
        for what in (loss.equation, loss.title, loss.paper, *loss.defaults):
            assert what in told, f"{name}: {what}"
        for option, value in loss.defaults.items():
            assert f"{option} {value}" in told, name
        assert f'id="dpo_from_scratch.losses.{loss.fn.__name__}"' in page


def test_every_setting_is_there_with_its_default_and_what_it_means(page):
    rows = re.findall(r"<tr.*?</tr>", section(page, "fields-of-trainconfig"), re.S)[1:]
    assert len(rows) == len(FIELDS)
    for field, row in zip(dataclasses.fields(TrainConfig), rows, strict=True):
        meaning = field.metadata["help"].replace('"', "")
        assert f"{field.name} {field.default!r} {meaning}" in words(row).replace("”", "")


def exports(room: str) -> set[str]:
    """What a reader can import from a room, read off the room itself."""
    package = f"dpo_from_scratch.{room}"
    found = vars(import_module(package)) | {"train": train if room == "training" else None}
    own = {n for n, x in found.items() if getattr(x, "__module__", "").startswith(package)}
    values = {n for n, x in found.items() if n.isupper() and not inspect.ismodule(x)}
    return {name for name in own | values if not name.startswith("_")}


@pytest.mark.parametrize("room", api.ROOMS)
def test_every_name_that_a_room_exports_is_there(page, room):
    names = exports(room)
    assert len(names) > 5
    for name in names:
        entry, value = f'id="dpo_from_scratch.{room}.{name}"', f">{room}.{name}<"
        assert entry in page or value in page, name


@pytest.mark.parametrize("name", ["logprobs.sequence_logps", "training.train", "data.read_rows"])
def test_names_that_a_room_must_not_lose(page, name):
    assert f'id="dpo_from_scratch.{name}"' in page


def entries(page: str) -> list[str]:
    found = re.findall(r'<dt class="sig sig-object py" id="dpo_from_scratch\.([\w.]+)"', page)
    assert len(found) > 150
    return found


def test_no_name_is_there_that_the_package_does_not_have(page):
    assert [name for name in entries(page) if not exists(name)] == []
    named = re.findall(r">((?:" + "|".join(api.ROOMS) + r")\.[A-Z_]{3,})<", page)
    assert len(named) > 8
    assert [name for name in named if not exists(name)] == []


def test_every_heading_has_an_address_of_its_own(page):
    assert re.findall(r'<section id="(id\d+)"', page) == []


def test_every_docstring_can_be_read_as_it_was_written(page):
    """No bar, star, quote or dash of a formula is taken for a mark."""
    text = words(page)
    for name in entries(page):
        *where, last = name.split(".")
        thing = import_module(f"dpo_from_scratch.{where[0]}")
        for part in [*where[1:], last]:
            thing = inspect.getattr_static(thing, part, None) or getattr(thing, part)
        thing = getattr(thing, "__func__", thing)
        for paragraph in re.split(r"\n\s*\n", inspect.getdoc(thing)):
            assert " ".join(paragraph.replace("`", "").split()) in text, name


def test_marks_of_a_docstring_are_taken_out():
    assert api.plain("|y| * f'(u) + z_0") == r"\|y\| \* f'(u) + z\_0"
    assert api.plain("see `kto_kl`, `x`", "losses") == (
        "see :py:obj:`kto_kl <dpo_from_scratch.losses.kto_kl>`, ``x``"
    )
    assert api.plain("as `--x y` or --loss") == "as ``--x y`` or ``--loss``"
    assert "https://arxiv.org/abs/2305.18290" in api.plain("arXiv 2305.18290, eq. 7")


def commands() -> dict[str, argparse.ArgumentParser]:
    parser = make_parser()
    return {"dpo": parser} | {f"dpo {n}": p for n, p in parser.commands.choices.items()}


@pytest.mark.parametrize("command", commands())
def test_every_command_is_there_with_every_option(page, command):
    place = command.replace(" ", "-") if " " in command else "without-a-command"
    told = words(section(page, place))
    for action in commands()[command]._actions:
        if isinstance(action, argparse._HelpAction | argparse._SubParsersAction):
            continue
        for name in action.option_strings or [action.metavar or action.dest]:
            assert re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", told), name


def test_no_command_or_option_is_there_that_the_parser_does_not_have(page):
    assert set(re.findall(r'<section id="(dpo-[\w-]+)"', page)) == {
        command.replace(" ", "-") for command in commands() if " " in command
    }
    known = {
        f"{command.replace(' ', '-')}-{name.removeprefix('--')}"
        for command, parser in commands().items()
        for action in parser._actions
        for name in action.option_strings or [f"arg-{action.dest}"]
    }
    shown = set(re.findall(r'id="cmdoption-([\w-]+)"', page))
    assert len(shown) > 60
    assert shown <= known


# ---------------------------------------------------------------- the table of TRL's names
def tables() -> dict[str, list[list[str]]]:
    """Section -> rows of three cells."""
    parts = re.split(r"^## ", TRL, flags=re.M)[1:]
    rows = {part.split("\n")[0]: re.findall(r"^\| (.*) \|$", part, re.M) for part in parts}
    cells = {name: [re.split(r" \| ?", row) for row in found] for name, found in rows.items()}
    return {n: [c for c in found if not c[0].startswith("TRL")] for n, found in cells.items()}


def codes(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_every_row_says_what_is_here():
    for rows in tables().values():
        assert len(rows) > 15
        for row in rows:
            assert len(row) == 3, row
            assert codes(row[0]) or codes(row[1]), row


def test_our_side_of_the_losses_exists():
    ours = [name for row in tables()["Losses"] for name in codes(row[1])]
    assert set(ours) <= set(LOSSES)
    left = re.search(r"no counterpart of (.*?)\. ", TRL)[1]
    assert set(ours) | set(codes(left)) | {"f_dpo"} == set(LOSSES)


def test_our_side_of_the_options_exists():
    for _, ours, _ in tables()["Options"]:
        option, _, of = ours.partition(" of [")
        for name in codes(option):
            if not of:
                assert name in FIELDS | set(LOSSES), name
            for function in codes("[" + of):
                module = next(
                    m for m in ("losses", "training", "rounds") if exists(f"{m}.{function}")
                )
                thing = getattr(import_module(f"dpo_from_scratch.{module}"), function)
                assert name in inspect.signature(thing).parameters, f"{name} of {function}"


def test_our_side_of_the_metrics_is_what_a_run_logs(tiny):
    rows, seen = world.make_pairs(4), {"step"}
    for loss in ("dpo", "kto"):
        model = frozen_copy(tiny[0]).requires_grad_(True)
        config = TrainConfig(loss=loss, steps=1, batch_size=4)
        seen |= set(train(model, tiny[1], rows, config, progress=False)[0])
    ours = {name for row in tables()["Metrics"] for name in codes(row[1])}
    assert ours | {"step"} == seen
    told = {
        codes(row[0])[0]: codes(row[1])
        for row in tables()["Metrics"]
        if " of " not in row[0] and codes(row[0])
    }
    assert {trl: [ours] for trl, ours in TRL_NAMES.items()}.items() <= told.items()


@pytest.mark.filterwarnings("ignore")
def test_trls_side_exists():
    trl = pytest.importorskip("trl", reason="make trl installs TRL")
    from trl.experimental.cpo import CPOConfig
    from trl.experimental.orpo import ORPOConfig

    configs = {"KTOConfig": trl.KTOConfig, "CPOConfig": CPOConfig, "ORPOConfig": ORPOConfig}
    fields = lambda kind: {f.name for f in dataclasses.fields(kind)}
    given = fields(trl.DPOConfig) | set(inspect.signature(trl.DPOTrainer).parameters)
    for theirs, *_ in tables()["Options"]:
        option, _, of = theirs.partition(" of ")
        known = fields(configs[codes(of)[0]]) if of else given
        gone = set(codes(option)) <= {"rpo_alpha", "reference_free", "max_prompt_length"}
        assert (set(codes(option)) <= known) != gone, theirs
    losses = inspect.getsource(trl.DPOTrainer)
    for theirs, *_ in tables()["Losses"]:
        option, _, of = theirs.partition(" of ")
        source = inspect.getsource(configs[codes(of)[0]]) if of else losses
        assert all(f'"{name}"' in source or name in configs for name in codes(option)), theirs
    assert set(re.findall(r'loss_type == "(\w+)"', losses)) <= {
        name for row in tables()["Losses"] for name in codes(row[0])
    }


@pytest.mark.filterwarnings("ignore")
def test_trls_metrics_have_these_names():
    trl = pytest.importorskip("trl", reason="make trl installs TRL")
    ours = {"loss", "grad_norm", "learning_rate"}  # those of transformers' Trainer
    for theirs, *_ in tables()["Metrics"]:
        name, _, of = theirs.partition(" of ")
        source = inspect.getsource(trl.KTOTrainer if of else trl.DPOTrainer)
        for metric in set(codes(name)) - ours:
            assert f'["{metric}"]' in source, metric


@pytest.mark.filterwarnings("ignore")
def test_losses_that_are_called_equal_give_trls_numbers(tiny, tmp_path):
    pytest.importorskip("trl", reason="make trl installs TRL")
    from test_check_trl import build

    from dpo_from_scratch.doctor.trl_probe import LENGTH, Probe

    save_model(*tiny, tmp_path)
    trainer = build(tmp_path, tiny, beta=0.3)
    probe = Probe(trainer, list(trainer.train_dataset), 3)
    numbers = -10 - 20 * torch.rand(4, 3, generator=torch.Generator().manual_seed(0))
    sizes = dict.fromkeys(("chosen_lengths", "rejected_lengths"), torch.full((3,), float(LENGTH)))

    def same(theirs: str, ours: str, **more) -> bool:
        loss, trainer.loss_types = LOSSES[ours], [theirs]
        options = {"beta": 0.3, "label_smoothing": trainer.label_smoothing} | sizes
        takes = inspect.signature(loss.fn).parameters
        given = {key: value for key, value in options.items() if key in takes}
        value = loss.fn(*numbers, **(given | more)).mean()
        return torch.allclose(probe.loss(*numbers), value, rtol=1e-4)

    called = [row for row in tables()["Losses"] if "Equal" in row[2] and " of " not in row[0]]
    assert len(called) == 12
    for theirs, ours, _ in called:
        smoothed = "label_smoothing" in LOSSES[codes(ours)[0]].defaults
        trainer.label_smoothing = 0.1 if smoothed else 0.0
        assert same(codes(theirs)[0], codes(ours)[0]), theirs
    assert same("ipo", "ipo", tau=0.3)  # with lengths
    assert not same("ipo", "ipo", tau=0.3, chosen_lengths=None, rejected_lengths=None)
    trainer.label_smoothing = 0.2
    assert same("sigmoid", "dpo")  # which doesn't read it
    trainer.f_divergence_type, trainer.f_alpha_divergence_coef = "alpha_divergence", 0.3
    assert same("sigmoid", "f_dpo", divergence="alpha", alpha=0.7)
    assert not same("sigmoid", "f_dpo", divergence="alpha", alpha=0.3)
