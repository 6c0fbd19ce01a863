"""Execute a chapter once, with a progress bar, and print what it saved.

    python -m dpo_from_scratch.lab.run notebooks/00_start_here.ipynb

The executed copy and the chapter's results go to runs/NAME/ below the working folder.
"""

import json
import os
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from tqdm import tqdm


def execute(notebook: Path, folder: Path) -> Path:
    """Run all cells and write the executed copy; SystemExit with the cell's error if one fails.

    Solutions are left out: the tests run those.
    """
    folder.mkdir(parents=True, exist_ok=True)
    book = nbformat.reads(notebook.read_text(encoding="utf-8"), as_version=4)
    book.cells = [c for c in book.cells if "solution" not in c.metadata.get("tags", [])]
    cells = sum(cell.cell_type == "code" for cell in book.cells)
    with tqdm(total=cells, desc=notebook.stem, unit="cell") as bar:
        client = NotebookClient(
            book,
            timeout=600,
            kernel_name="python3",
            resources={"metadata": {"path": os.getcwd()}},
            on_cell_executed=lambda cell, cell_index, execute_reply: bar.update(),
        )
        try:
            client.execute()
        except CellExecutionError as error:
            sys.exit(f"{notebook}: a cell failed\n{error}")
    executed = folder / notebook.name
    executed.write_text(nbformat.writes(book), encoding="utf-8")
    return executed


def summary(results: dict) -> str:
    """Chapter 00's results as text: reviews before and after, and the table."""
    out = []
    for row in results["reviews"]:
        out.append(f"\n{row['prompt']}")
        out.append(f"  before ({row['reward_before']:+.2f})  {row['before']}")
        out.append(f"  after  ({row['reward_after']:+.2f})  {row['after']}")
    before, after = results["before"], results["after"]

    def line(name: str, form: str, *keys: str) -> str:
        a, b = (form.format(*(found[key] for key in keys)) for found in (before, after))
        return f"{name:42s}{a:>16s}{b:>16s}"

    out += [
        f"\n{'(± one standard error)':42s}{'before':>16s}{'after':>16s}",
        line("preference accuracy (true order)", "{:.3f}", "accuracy"),
        f"{'correlation, implicit with true reward':42s}{'none':>16s}{after['correlation']:>16.3f}",
        line("mean true reward", "{:.2f} ± {:.2f}", "true_reward", "true_reward_se"),
        f"{'KL to the reference, nats per reply':42s}{'0':>16s}"
        + f"{after['kl']:.2f} ± {after['kl_se']:.2f}".rjust(16),
        line("exact optimum's reward at that KL", "{:.2f}", "optimum"),
        line("grammatical samples", "{:.1%}", "grammatical"),
        f"{'seconds of training':42s}{'':>16s}{results['training_seconds']:>16.0f}",
    ]
    return "\n".join(out)


def main() -> None:
    """`python -m dpo_from_scratch.lab.run NOTEBOOK`."""
    if len(sys.argv) != 2:
        sys.exit("usage: python -m dpo_from_scratch.lab.run NOTEBOOK")
    notebook, started = Path(sys.argv[1]), time.monotonic()
    if not notebook.is_file():
        sys.exit(f"{notebook}: no such notebook")
    folder = Path("runs") / notebook.stem
    executed = execute(notebook, folder)
    if (folder / "results.json").exists():
        print(summary(json.loads((folder / "results.json").read_text(encoding="utf-8"))))
    print(f"{'seconds in all':42s}{'':>16s}{time.monotonic() - started:>16.0f}")
    print(f"\nexecuted notebook  {executed}")
    for name, file in (("figure", "figure.png"), ("model", "model")):
        if (folder / file).exists():
            print(f"{name:18s} {folder / file}")


if __name__ == "__main__":
    main()
