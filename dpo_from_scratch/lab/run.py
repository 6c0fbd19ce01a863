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

from .tables import show_table


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


def tell(results: dict) -> None:
    """Print chapter 00's results as it saved them: reviews before and after, and its table."""
    for row in results["reviews"]:
        print(f"\n{row['prompt']}")
        print(f"  before ({row['reward_before']:+.2f})  {row['before']}")
        print(f"  after  ({row['reward_after']:+.2f})  {row['after']}")
    print()
    pairs = lambda cells: [tuple(c) if isinstance(c, list) else c for c in cells]
    show_table({name: pairs(cells) for name, cells in results["outcome"].items()})
    print(f"\n{'seconds of training':24s}{results['training_seconds']:8.0f}")


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
        tell(json.loads((folder / "results.json").read_text(encoding="utf-8")))
    print(f"{'seconds in all':24s}{time.monotonic() - started:8.0f}")
    print(f"\nexecuted notebook  {executed}")
    for name, file in (("figure", "figure.png"), ("model", "model")):
        if (folder / file).exists():
            print(f"{name:18s} {folder / file}")


if __name__ == "__main__":
    main()
