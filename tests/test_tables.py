"""Tables of a chapter's cells: aligned, with intervals; verdicts that must hold, or needn't."""

import numpy as np
import pytest

from dpo_from_scratch import world
from dpo_from_scratch.data import data_path, read_rows
from dpo_from_scratch.lab.evaluation import optimal_log_ratios
from dpo_from_scratch.lab.plots import smooth
from dpo_from_scratch.lab.tables import PAGE, show_table, verdict


def test_columns_are_aligned_and_say_their_intervals(capsys):
    show_table(
        {"loss": ["DPO", "IPO"], "reward": [(2.414, 0.081), (-1.5, 0.1)], "n": [3, 12]}, decimals=2
    )
    told = capsys.readouterr().out.splitlines()
    assert told == [
        "loss        reward   n",
        "DPO    2.41 ± 0.08   3",
        "IPO   −1.50 ± 0.10  12",
    ]


def test_a_cell_may_be_empty_and_a_zero_has_no_sign(capsys):
    show_table({"a": [None, -0.0001], "b": [np.float32(1.25), 2.0]}, decimals={"a": 1})
    assert capsys.readouterr().out.splitlines() == ["  a     b", "     1.25", "0.0  2.00"]
    with pytest.raises(ValueError, match="differ in length"):
        show_table({"a": [1], "b": [1, 2]})


def test_a_wide_table_breaks_its_names(capsys):
    show_table({f"a name of column {n}": [(1.0, 0.5), (22.0, 0.5)] for n in range(6)})
    told = capsys.readouterr().out.splitlines()
    assert max(map(len, told)) <= PAGE
    assert told[-1] == "  ".join(["22.00 ± 0.50"] * 6)
    assert [line.split()[:2] for line in told[:2]] == [["a", "name"], ["column", "0"]]


def test_a_verdict_asserts_unless_it_need_not_hold(capsys):
    verdict("two is more than one", 2 > 1, by="exact")
    verdict("a long claim " * 9, 1 > 2, by="your run", must=False)
    told = capsys.readouterr().out.splitlines()
    assert told[0].endswith("exact     holds")
    assert told[-1].endswith("your run  not seen here")
    assert len({line.index(word) for line, word in ((told[0], "exact"), (told[-1], "your"))}) == 1
    with pytest.raises(AssertionError, match="one is more"):
        verdict("one is more than two", 1 > 2)
    with pytest.raises(ValueError, match="by is one of"):
        verdict("two is more than one", 2 > 1, by="hearsay")


def test_a_running_mean_is_centred():
    line = np.arange(20.0)
    np.testing.assert_allclose(smooth(line, 8)[4:-4], line[4:-4])
    assert smooth(line, 8)[0] == line[:5].mean()  # at an end, one side of the window
    bump = smooth(np.eye(21)[10], 4)
    np.testing.assert_allclose(bump, bump[::-1])
    np.testing.assert_allclose(bump[8:13], 0.2)


def test_the_optimums_log_ratios_are_those_of_its_log_probabilities():
    rows = read_rows(data_path("reviews_pairs_test.jsonl"))[0][:20]
    found = optimal_log_ratios(rows, 0.6)
    for row, told in zip(rows, found, strict=True):
        texts = [row["chosen"], row["rejected"]]
        log_star = world.REVIEWS.log_probs(row["prompt"], texts, 0.6)
        np.testing.assert_allclose(told, log_star - world.REVIEWS.log_probs(row["prompt"], texts))
