"""`make student-check`: every notebook of the student edition, as handed out and with all solved.

`python tests/run_student_edition.py [NN ...]` for some chapters only. Exit status 1 if one failed.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from dpo_from_scratch.lab import editions


def executed(book: dict, folder: Path) -> tuple[str, str]:
    """The error of the cell that failed, or "", and all that was printed."""
    node, error = nbformat.reads(editions.text(book), as_version=4), ""
    where = {"metadata": {"path": str(folder)}}
    try:
        NotebookClient(node, timeout=900, kernel_name="python3", resources=where).execute()
    except CellExecutionError as failed:
        error = str(failed)[-800:]
    outputs = [o for cell in node.cells for o in cell.get("outputs", [])]
    return error, "\n".join(o.get("text", "") for o in outputs)


def fault(book: dict, wanted: str, unwanted: str) -> str:
    """What is wrong with a notebook that was executed in an empty folder, or ""."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["DPO_PROGRESS"] = str(Path(folder, "solved.json"))
        error, printed = executed(book, Path(folder))
    asked = sum(bool({"attempt", "key"} & set(editions.tags(c))) for c in book["cells"])
    said = printed.count(wanted)
    if not error and (said < asked or unwanted in printed):
        lines = [line for line in printed.splitlines() if unwanted in line or "not right" in line]
        error = f"{said} of {asked} say {wanted!r}; {lines}"
    return error


def main() -> int:
    """Both forms of each notebook; prints a line each."""
    failed = 0
    for path in editions.stored():
        if sys.argv[1:] and path.stem[:2] not in sys.argv[1:]:
            continue
        if path.name in editions.GUIDES:  # asks nothing, and runs in `make test`
            continue
        ours, started = editions.student(editions.read(path)), time.monotonic()
        forms = {
            "as handed out": fault(ours, "not tried yet.", "can't be judged"),
            "solved": fault(editions.solved(ours), ": right.", "not tried yet."),
        }
        seconds = time.monotonic() - started
        for form, error in forms.items():
            print(f"{path.stem}, {form}: {error or 'fine'}", flush=True)
            failed += bool(error)
        print(f"    {seconds:.0f} s for both", flush=True)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
