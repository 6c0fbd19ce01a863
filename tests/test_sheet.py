"""The cheat sheet: made of the registry, the presets, the doctor and the chapters."""

import re

import pytest
from cells import NOTEBOOKS, cells_of, missing, source
from conftest import script

from dpo_from_scratch.doctor.findings import MEASURED
from dpo_from_scratch.losses import LOSSES

maker = script(NOTEBOOKS.parent / "website" / "sheet.py")
STORED = (NOTEBOOKS / "teaching" / "sheet.html").read_text(encoding="utf-8")


def test_the_stored_sheet_is_the_one_that_is_made_and_loads_nothing():
    assert maker.page() == STORED
    assert not re.search(r"<(script|img|link|iframe)|(src|href)=|url\(|@import", STORED)


def test_it_has_every_loss_a_chapter_that_shows_it_and_what_the_doctor_reads_off_curves():
    assert list(maker.SOURCE["losses"]) == list(LOSSES)
    for name, (chapter, _) in maker.SOURCE["losses"].items():
        text = "\n".join(map(source, cells_of(chapter)))
        assert re.search(rf"\b({name}|{name.upper()})\b", text), name
        assert f"<b>{name}</b>" in STORED
    assert all(f"<b>{code}</b>" in STORED for code in MEASURED)


@pytest.mark.parametrize(
    ("name", "chosen", "rejected"),
    [
        ("dpo", 0.05, -0.05),  # beta / 2
        ("cdpo", 0.04, -0.04),  # beta (1/2 - eps)
        ("ipo", 10.0, -10.0),  # 1 / tau
        ("hinge", 0.1, -0.1),  # beta
        ("nca", 0.0025, -0.0025),  # beta / 4
        ("sppo", 1000.0, -1000.0),  # 1 / beta
        ("apo_down", 0.0, -0.025),  # beta (1/4 - 1/4), beta / 4
        ("length_normalized_dpo", 0.125, -0.125),  # beta / (2 * 20 tokens)
        ("kto", 0.025, -0.025),  # beta / 4
        ("bco", 0.05, -0.05),  # beta / 2
    ],
)
def test_the_first_pull_is_what_the_formula_says(name, chosen, rejected):
    assert maker.pull(LOSSES[name]) == pytest.approx([chosen, rejected])


def test_numbers_that_it_says_in_its_own_words_stand_in_the_cells_that_it_names():
    for told in maker.SOURCE["watch"]:
        assert not missing([told["says"]], told["chapter"], told["cells"]), told["name"]


def test_equations_are_set_as_the_book_writes_them():
    assert maker.pretty("-log sigmoid(m)") == "−log σ(m)"
    assert maker.pretty("beta (rho_w/|y_w| - rho_l)") == (
        "β (ρ<sub>w</sub>/|y<sub>w</sub>| − ρ<sub>l</sub>)"
    )
    assert maker.pretty("f'(e^rho_w) - nll_weight ell_w") == (
        "f′(e<sup>ρ<sub>w</sub></sup>) − nll weight ℓ<sub>w</sub>"
    )
    left = {word for loss in LOSSES.values() for word in re.findall(r"[A-Za-z]{3,}", loss.equation)}
    known = {*maker.SIGNS, "log", "max", "sort", "weight", "penalty", "nll"}
    assert {word.partition("_")[0] for word in left} <= known
