"""Part I catches broken code: ten bugs in the package, each stopped by a cell of its chapter."""

import inspect
import json
import textwrap
from pathlib import Path

import matplotlib as mpl
import pytest

from dpo_from_scratch import exact, logprobs, losses, sampling
from dpo_from_scratch.lab.plots import setup_notebook

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
BUGS = {  # name: (chapter, function, what stands there, what the bug makes of it)
    "sign": ("04", losses.dpo, "return -logsigmoid(beta", "return -logsigmoid(-beta"),
    "missing beta": ("04", losses.dpo, "-logsigmoid(beta * (", "-logsigmoid(("),
    "reference dropped": (
        "04",
        losses.checks.log_ratios,
        "rejected_logps - ref_rejected_logps",
        "rejected_logps",
    ),
    "swapped pair": (
        "04",
        losses.dpo,
        "chosen_log_ratio - rejected_log_ratio",
        "rejected_log_ratio - chosen_log_ratio",
    ),
    "detached term": (
        "04",
        losses.dpo,
        "- rejected_log_ratio))",
        "- rejected_log_ratio.detach()))",
    ),
    "mean for sum": ("01", logprobs.sequence_logps, ".sum(1)", ".sum(1) / mask.sum(1)"),
    "log base": ("01", logprobs.token_logps, "logits.logsumexp(-1)", "logits.exp().sum(-1).log2()"),
    "off by one": ("01", logprobs.sequence_logps, "~mask[:, 1:]", "~mask[:, :-1]"),
    "wrong Z": (
        "03",
        exact.gibbs,
        "np.logaddexp.reduce(log_ref + rewards / beta)",
        "np.logaddexp.reduce(log_ref + rewards)",
    ),
    "wrong temperature": (
        "01",
        sampling.softmax,
        "wide / temperature",
        "wide / (2 * temperature)",
    ),
}


def run_chapter(number: str) -> None:
    """The code cells of a chapter in one namespace, without set-up and solutions."""
    (path,) = NOTEBOOKS.glob(f"{number}_*.ipynb")
    setup_notebook()
    space = {"__name__": "chapter"}
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        text = "".join(cell["source"])
        if (
            cell["cell_type"] == "code"
            and "%pip" not in text
            and "solution" not in cell["metadata"].get("tags", [])
        ):
            exec(compile(text, path.name, "exec"), space)


@pytest.fixture
def bug(request, monkeypatch):
    """The function with one place changed, wherever it was imported to."""
    _, function, there, instead = BUGS[request.param]
    source = textwrap.dedent(inspect.getsource(function))
    source = source[source.index("def ") :]  # a decorator would register the bug
    assert source.count(there) == 1, source
    space = dict(function.__globals__)
    exec(source.replace(there, instead), space)
    monkeypatch.setattr(function, "__code__", space[function.__name__].__code__)
    return request.param


@pytest.fixture(autouse=True)
def quiet(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    mpl.use("Agg")
    with mpl.rc_context():
        yield
    mpl.pyplot.close("all")


@pytest.mark.parametrize("bug", BUGS, indirect=True)
def test_a_cell_of_part_one_catches_the_bug(bug, capsys):
    # a detached term is refused by autograd itself
    with pytest.raises((AssertionError, RuntimeError)):
        run_chapter(BUGS[bug][0])


@pytest.mark.parametrize("number", sorted({chapter for chapter, *_ in BUGS.values()}))
def test_the_same_cells_pass_without_a_bug(number, capsys):
    run_chapter(number)
