"""The figures of chapters 05 and 06 draw what they are given."""

import matplotlib.pyplot as plt
import pytest

from dpo_from_scratch.lab.figures import ch05, ch06


def test_references_are_drawn_at_their_mean_gap_with_intervals():
    values = {"true_reward before": [0.0, 0.2, 0.1], "true_reward after": [1.0, 1.4, 1.2]}
    at = {100: {"gap": [0.2, 0.3, 0.25]} | values, 400: {"gap": [0.05, 0.05, 0.05]} | values}
    (ax,) = ch05.draw_references(at).axes
    before, after = (bars.lines[0] for bars in ax.containers)
    assert list(before.get_xdata()) == pytest.approx([0.25, 0.05])
    assert list(after.get_ydata()) == pytest.approx([1.2, 1.2])
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["100\n0.250", "400\n0.050"]
    plt.close("all")


def test_runs_are_drawn_with_a_dash_of_their_own():
    run = [{"step": 1, "loss": 0.7, "margin": 0.0}, {"step": 2, "loss": 0.6, "margin": 0.3}]
    figure = ch06.draw_runs(dict.fromkeys(ch06.STYLES, run))
    for ax, key in zip(figure.axes, ("loss", "margin"), strict=True):
        lines = ax.lines[: len(ch06.STYLES)]
        assert all(list(line.get_ydata()) == [r[key] for r in run] for line in lines)
        assert len({str(line.get_linestyle()) + line.get_color() for line in lines}) == len(lines)
    plt.close("all")


def test_a_run_without_a_style_is_refused():
    with pytest.raises(KeyError):
        ch06.draw_runs({"unknown": []})
    plt.close("all")


def test_the_small_panel_repeats_the_late_steps_of_both_curves():
    curves = {"one": [5.0, 2.0, 1.5, 1.2], "other": [5.0, 2.1, 1.4, 1.3]}
    (ax,) = ch05.draw_sft(curves, floor=1.0, late=3).axes
    (inset,) = ax.child_axes
    for values, line, late in zip(curves.values(), ax.lines, inset.lines, strict=False):
        assert list(line.get_ydata()) == values
        assert list(late.get_xdata()) == [3, 4]
        assert list(late.get_ydata()) == values[2:]
    assert inset.get_ylim()[0] < 1.0 < 1.5 < inset.get_ylim()[1]
    plt.close("all")
