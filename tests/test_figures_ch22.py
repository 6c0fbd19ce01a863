"""The drawings of chapter 22: what was measured is in them, and lines lie where they should."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from dpo_from_scratch.doctor import hooks
from dpo_from_scratch.lab.figures import ch22

KEYS = ("loss", "margin", "chosen_reward", "rejected_reward", "grad_norm")


def run(level, steps=32):
    return {key: [level + i / 100 for i in range(steps)] for key in KEYS}


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_patches_are_told_as_lines_taken_away_and_put_in_their_place(capsys):
    ch22.show_patches(["beta is zero", "mean for sum"])
    told = capsys.readouterr().out
    assert "== beta is zero\n-   BETA = 0.6 \n+   BETA = 0.0\n" in told
    assert "/ mask.sum(-1)).chunk(2)" in told


def test_lines_become_a_table_of_columns(capsys):
    ch22.print_rows(("bug", "weight"), [("healthy", 1.0), ("mean", 0.0588)], decimals=3)
    assert capsys.readouterr().out.splitlines()[-1].split() == ["mean", "0.059"]


def test_a_bug_is_drawn_over_healthy_runs_raw_with_the_optimum():
    runs = {None: [run(0.0), run(0.5)], "a": [run(1.0)], "b": [run(2.0)]}
    figure = ch22.draw_symptoms(runs, ("loss", "margin"), {"margin": 1.9}, alone=("b",))
    left, right = figure.axes[:2]
    assert len(figure.axes) == 4
    drawn = {line.get_label(): line for line in right.get_lines()}
    assert drawn["with the bug"].get_ydata()[3] == pytest.approx(1.03)  # nothing is smoothed
    assert drawn["with the bug"].get_xdata()[-1] == 125  # every fourth step is kept
    assert drawn["exact optimum"].get_ydata()[0] == 1.9
    assert "exact optimum" not in {line.get_label() for line in left.get_lines()}


def test_every_step_of_a_run_made_here_is_drawn():
    figure = ch22.draw_overlay({None: [run(0, 40)], "a": [run(1, 40)]}, ("loss",), {})
    drawn = {line.get_label(): line for line in figure.axes[0].get_lines()}
    assert [drawn[name].get_xdata()[-1] for name in ("healthy, same pairs", "a")] == [40, 40]
    assert drawn["ln 2"].get_ydata()[0] == pytest.approx(np.log(2))


def test_a_matrix_shows_its_counts_and_the_unlabelled_runs_their_letters():
    figure = ch22.draw_named(np.array([[3, 0], [1, 2]]), ["x", "y"], ["p", "q"])
    assert [t.get_text() for t in figure.axes[0].texts] == ["3", "0", "1", "2"]
    figure = ch22.draw_unlabelled({"A": run(0.0), "B": run(1.0)})
    assert [figure.axes[i].get_ylabel() for i in (0, 4)] == ["A", "B"]
    titles = {t for ax in figure.axes for t in (ax.get_title(), ax.get_ylabel())}
    assert not titles & hooks.BUGS["plain_loop.py"].keys()


def test_a_figure_is_shown_small_and_closed(monkeypatch):
    shown = []
    monkeypatch.setattr(ch22, "display", shown.append)
    ch22.show(ch22.draw_overlay({None: [run(0)], "a": [run(1)]}, ("loss",), {}))
    assert shown[0].data.startswith(b"\x89PNG")
    assert len(shown[0].data) < 60_000
    assert not plt.get_fignums()
