"""Chapter 10's pictures show what they are given, and lose nothing of it."""

import numpy as np
import pytest

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")

from dpo_from_scratch.lab.figures import ch10  # noqa: E402

AXIS = np.linspace(-4, 4, 33)
W, L = np.meshgrid(AXIS, AXIS)
BOWL = (AXIS, (W - 2) ** 2 + (L + 1) ** 2, -2 * (W - 2), -2 * (L + 1))  # lowest at (2, -1)
PATH = np.array([[0.0, 0.0], [1.0, -0.5], [2.0, -1.0]])


def ends(ax):
    """Where the dots of a plane's path stand."""
    found = [line for line in ax.lines if line.get_marker() == "o"]
    return [(float(line.get_xdata()[-1]), float(line.get_ydata()[-1])) for line in found]


def test_a_plane_has_chosen_along_x_its_path_and_arrows_down():
    ax = ch10.one_plane(BOWL, "a bowl", PATH).axes[0]
    assert ends(ax) == [(2.0, -1.0)]
    arrows = next(c for c in ax.collections if type(c).__name__ == "Quiver")
    left = (arrows.X < 1) & (arrows.Y == -1)
    assert (arrows.U[left] > 0).all()
    np.testing.assert_allclose(arrows.V[left], 0, atol=1e-9)


def test_all_planes_are_drawn_once_each_and_frames_have_one_size():
    names = [f"loss {i}" for i in range(8)]
    figure = ch10.all_planes(dict.fromkeys(names, BOWL), dict.fromkeys(names, PATH))
    assert [ax.get_title() for ax in figure.axes] == names
    assert all(ends(ax) == [(2.0, -1.0)] for ax in figure.axes)
    sizes = {tuple(ch10.plane_frame(BOWL, n, PATH).get_size_inches()) for n in names[:2]}
    assert len(sizes) == 1
    matplotlib.pyplot.close("all")


def test_lines_and_marks_are_all_there():
    m = np.linspace(-4, 6, 11)
    curves = {f"loss {i}": (i * m, i + 0 * m) for i in range(7)}
    for ax, which in zip(ch10.losses_and_slopes(m, curves).axes, (0, 1), strict=True):
        drawn = {line.get_label(): line.get_ydata() for line in ax.lines}
        assert all((drawn[name] == both[which]).all() for name, both in curves.items())
    rise, places = np.array([2.0, 0.5]), {"a": (0, 1), "b": (1, 1)}
    figure = ch10.how_far(np.array([1.0, 0.0]), {"a": rise, "b": rise}, places)
    assert list(figure.axes[0].lines[0].get_ydata()) == [0.5, 2.0]  # by growing reward
    real = {"alike": np.array([[0.9, 1.0]]), "others": np.array([[0.0, 1.2]])}
    left, right = ch10.likeness({0.0: (0.5, -1.0), 0.95: (-0.5, -1.2)}, real, 1.5).axes
    marks = {t.get_text() for t in left.texts}
    assert {"0", "0.95"} <= marks
    shown = [line for line in right.lines if line.get_label() in real]
    assert [line.get_xydata().tolist() for line in shown] == [[[0.9, 1.0]], [[0.0, 1.2]]]
    matplotlib.pyplot.close("all")
