"""Execute a chapter once, with a progress bar, and print what it saved: `python notebooks/run.py notebooks/00_start_here.ipynb`.

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
    """Run all cells and write the executed copy; SystemExit with the cell's error if one fails."""
    folder.mkdir(parents=True, exist_ok=True)
    book = nbformat.read(notebook, as_version=4)
    book.cells = [c for c in book.cells if "solution" not in c.metadata.get("tags", [])]  # the tests run those
    cells = sum(cell.cell_type == "code" for cell in book.cells)
    with tqdm(total=cells, desc=notebook.stem, unit="cell") as bar:
        client = NotebookClient(
            book, timeout=600, kernel_name="python3", resources={"metadata": {"path": os.getcwd()}},
            on_cell_executed=lambda cell, cell_index, execute_reply: bar.update(),
        )  # fmt: skip
        try:
            client.execute()
        except CellExecutionError as error:
            sys.exit(f"{notebook}: a cell failed\n{error}")
    nbformat.write(book, folder / notebook.name)
    return folder / notebook.name


def summary(results: dict) -> str:
    """Chapter 00's results as text: reviews before and after, and the table."""
    out = []
    for row in results["reviews"]:
        out += [f"\n{row['prompt']}", f"  before ({row['reward_before']:+.2f})  {row['before']}",
                f"  after  ({row['reward_after']:+.2f})  {row['after']}"]  # fmt: skip
    before, after = results["before"], results["after"]
    table = [
        ("preference accuracy (true order)", f"{before['accuracy']:.3f}", f"{after['accuracy']:.3f}"),
        ("correlation, implicit with true reward", "none", f"{after['correlation']:.3f}"),
        ("mean true reward", f"{before['true_reward']:.2f} ± {before['true_reward_se']:.2f}",
         f"{after['true_reward']:.2f} ± {after['true_reward_se']:.2f}"),
        ("KL to the reference, nats per reply", "0", f"{after['kl']:.2f} ± {after['kl_se']:.2f}"),
        ("exact optimum's reward at that KL", f"{before['optimum']:.2f}", f"{after['optimum']:.2f}"),
        ("grammatical samples", f"{before['grammatical']:.1%}", f"{after['grammatical']:.1%}"),
    ]  # fmt: skip
    out.append(f"\n{'(± one standard error)':42s}{'before':>16s}{'after':>16s}")
    out += [f"{name:42s}{a:>16s}{b:>16s}" for name, a, b in table]
    out.append(f"{'seconds of training':42s}{'':>16s}{results['training_seconds']:>16.0f}")
    return "\n".join(out)


def main() -> None:
    notebook, started = Path(sys.argv[1]), time.monotonic()
    if not notebook.is_file():
        sys.exit(f"{notebook}: no such notebook")
    folder = Path("runs") / notebook.stem
    executed = execute(notebook, folder)
    if (folder / "results.json").exists():
        print(summary(json.loads((folder / "results.json").read_text())))
    print(f"{'seconds in all':42s}{'':>16s}{time.monotonic() - started:>16.0f}\n\nexecuted notebook  {executed}")
    for name, file in (("figure", "figure.png"), ("model", "model")):
        if (folder / file).exists():
            print(f"{name:18s} {folder / file}")


if __name__ == "__main__":
    main()
