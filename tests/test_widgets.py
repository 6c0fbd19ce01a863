"""Widgets: every click moves them, nothing prints, nothing is lost, and the static twin stands
in the same output.
"""

import base64
import io
import json

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from dpo_from_scratch.data import data_path, read_rows
from dpo_from_scratch.lab import widgets
from dpo_from_scratch.lab.widgets import LabellingPage

ROWS = read_rows(data_path("reviews_labels.jsonl"))[0]
PNG = b"\x89PNG\r\n\x1a\n"


def figure():
    return plt.subplots(figsize=(1, 1))[0]


@pytest.fixture
def shown(monkeypatch):
    found = []
    keep = lambda data, raw, metadata: found.append((data, metadata))
    monkeypatch.setattr(widgets, "display", keep)
    return found


def test_a_slider_shows_the_picture_of_its_setting(capsys):
    page = widgets.slider({"0.1": PNG + b"low", "1": PNG + b"high"}, "beta", start="1")
    choice, image = page.children
    assert image.value == PNG + b"high"
    choice.value = "0.1"
    assert image.value == PNG + b"low"
    assert capsys.readouterr() == ("", "")


def test_a_sliders_frames_are_one_picture_side_by_side_and_the_figures_are_closed(shown):
    before = plt.get_fignums()
    frames = {name: figure() for name in "abc"}
    widgets.show_slider(frames, "method", start="b")
    ((data, about),) = shown
    assert data["text/plain"] == "a slider over method: a, b, c"
    assert data[widgets.WIDGET]["model_id"]
    assert plt.get_fignums() == before
    told = about["image/png"]["slider"]
    expected = {"label": "method", "frames": ["a", "b", "c"], "columns": 2, "start": "b"}
    assert told == expected
    picture = Image.open(io.BytesIO(base64.b64decode(data["image/png"])))
    side = widgets.FRAME_DPI
    assert picture.size == (2 * side, 2 * side)  # the fourth place is white
    pixels = np.asarray(picture.convert("RGB"))
    assert (pixels[side:, side:] == 255).all()
    assert (pixels[:side, :side] == pixels[side:, :side]).all()  # equal frames, equal pixels


def click(page, number, wanted="chosen"):
    """Click the side that holds the wanted response of the pair on show."""
    row = page.order[number]
    page.buttons[page.sides[row].index(wanted)].click()


def test_every_click_is_kept_and_all_of_them_make_the_readers_labels(tmp_path, capsys):
    page = LabellingPage(ROWS, tmp_path / "mine.jsonl")
    assert page.labels() == (ROWS, "the shipped file")
    assert page.back.disabled
    for number in range(len(ROWS)):
        assert f"{number + 1} of 20" in page.question.value
        click(page, number, "rejected" if number == 3 else "chosen")
        assert len(read_rows(tmp_path / "mine.jsonl")[0]) == number + 1
    labels, who = page.labels()
    assert who == "you"
    differ = [i for i in range(20) if labels[i] != ROWS[i]]
    assert differ == [page.order[3]]
    assert labels[differ[0]]["chosen"] == ROWS[differ[0]]["rejected"]
    assert all(button.disabled for button in page.buttons)
    assert "All 20 pairs are labelled" in page.question.value
    assert capsys.readouterr() == ("", "")


def test_back_takes_the_last_click_away(tmp_path):
    page = LabellingPage(ROWS, tmp_path / "mine.jsonl")
    click(page, 0)
    click(page, 1, "rejected")
    page.back.click()
    assert "2 of 20" in page.question.value
    click(page, 1)
    assert page.answers == {page.order[i]: ROWS[page.order[i]] for i in (0, 1)}


def test_neither_order_nor_side_gives_the_choice_away():
    page = LabellingPage(ROWS)
    left = sum(sides[0] == "chosen" for sides in page.sides)
    assert 5 <= left <= 15
    assert page.order != sorted(page.order)
    assert LabellingPage(ROWS).sides == page.sides


def test_earlier_labels_are_read_on_request_and_never_written_over(tmp_path):
    file = tmp_path / "mine.jsonl"
    first = LabellingPage(ROWS, file)
    for number in range(7):
        click(first, number)
    again = LabellingPage(ROWS, file)
    assert again.earlier.layout.display == ""
    assert again.answers == {}  # a file from yesterday changes nothing by itself
    again.earlier.click()
    assert "8 of 20" in again.question.value
    click(again, 7)
    assert len(read_rows(file)[0]) == 8
    fresh = LabellingPage(ROWS, file)
    click(fresh, 0)
    assert len(read_rows(file)[0]) == 8
    assert len(read_rows(tmp_path / "mine_2.jsonl")[0]) == 1


def test_a_file_that_is_damaged_or_of_other_pairs_says_so_and_leaves_the_page_usable(tmp_path):
    file = tmp_path / "mine.jsonl"
    file.write_text("not json\n")
    page = LabellingPage(ROWS, file)
    page.earlier.click()
    assert "line 1" in page.status.value
    file.write_text(json.dumps({"prompt": "film", "chosen": "a", "rejected": "b"}) + "\n")
    page.earlier.click()
    assert "0 labels read" in page.status.value
    assert "1 of 20" in page.question.value


def test_a_folder_that_cannot_be_written_keeps_the_labels_in_memory(tmp_path):
    page = LabellingPage(ROWS, tmp_path / "missing" / "mine.jsonl")
    for number in range(20):
        click(page, number)
    assert "can&#x27;t be written" in page.status.value
    assert page.labels()[1] == "you"


def test_the_static_twin_of_the_page_is_a_table_of_all_pairs(shown, tmp_path):
    LabellingPage(ROWS, tmp_path / "mine.jsonl").show()
    ((data, _),) = shown
    assert data["text/html"].count("<tr>") == 21
    assert data["text/plain"] == "a page for labelling 20 pairs"
    assert not list(tmp_path.iterdir())


def test_the_shipped_labels_compare_five_reviews_of_each_of_two_prompts():
    for prompt in {row["prompt"] for row in ROWS}:
        own = [row for row in ROWS if row["prompt"] == prompt]
        assert len({frozenset((row["chosen"], row["rejected"])) for row in own}) == 10
        assert len({text for row in own for text in (row["chosen"], row["rejected"])}) == 5
