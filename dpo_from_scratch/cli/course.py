"""The course of a run that has ended: its first tenth beside its last, and a picture."""

from pathlib import Path

from ..training import TrainConfig
from ..training.endings import tenth

PICTURE = "curves.png"


def curves(history: list[dict], config: TrainConfig) -> dict[str, list[float]]:
    """What a reader looks at first, a value for each step; log-ratios are without beta."""
    from ..losses import LOSSES

    ratios = "reference" in LOSSES[config.loss].inputs
    what, key, unit = ("log-ratio", "reward", config.beta) if ratios else ("log-prob.", "logp", 1.0)
    shown = {"loss": ("loss", 1.0), "accuracy": ("accuracy", 1.0), "margin": ("margin", 1.0)}
    for side in ("", "chosen ", "rejected "):
        shown[f"{side}{what}"] = (side.replace(" ", "_") + key, unit)
    return {
        name: [row[key] / unit for row in history]
        for name, (key, unit) in shown.items()
        if history and all(key in row for row in history)
    }


def table(history: list[dict], config: TrainConfig) -> list[str]:
    """Lines: means over the first and the last tenth of the steps."""
    steps, many = [row["step"] for row in history], tenth(history)
    parts = [slice(many), slice(len(history) - many, None)][: len(history)]
    rows = [["", *(_steps(steps[part]) for part in parts)]]
    for name, values in curves(history, config).items():
        rows.append([name, *(f"{sum(values[part]) / many:.4g}" for part in parts)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for name, *cells in rows:
        told = [cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True)]
        lines.append("  ".join([name.ljust(widths[0]), *told]))
    return lines


def _steps(steps: list[int]) -> str:
    return f"steps {steps[0]} to {steps[-1]}" if len(steps) > 1 else f"step {steps[0]}"


def picture(history: list[dict], config: TrainConfig, folder: Path) -> str:
    """Draw the curves into the run's folder; its path, or why there is none, in words."""
    try:
        from matplotlib.figure import Figure

        from ..lab.plots import smooth

        steps, shown = [row["step"] for row in history], curves(history, config)
        figure = Figure(figsize=(3.2 * len(shown), 2.8), layout="constrained")
        axes = figure.subplots(1, len(shown), squeeze=False)
        for ax, (name, values) in zip(axes.flat, shown.items(), strict=True):
            ax.plot(steps, values, color="C0", alpha=0.25, lw=0.7)
            ax.plot(steps, smooth(values, max(len(steps) // 16, 1)), color="C0")
            ax.set(title=name, xlabel="step")
        partial = folder / f"{PICTURE}.partial"
        figure.savefig(partial, format="png", dpi=120)
        partial.replace(folder / PICTURE)
    except (ImportError, OSError) as error:  # the run is whole without it
        return f"no picture ({error})"
    return f"its curves: {folder / PICTURE}"
