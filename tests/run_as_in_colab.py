"""`make colab-check`: each chapter alone in an empty folder, as Colab's badge opens it.

Run by the Python of an environment with Colab's versions and the wheel, and nothing else of the
book: `python tests/run_as_in_colab.py [NN ...]`. Exit status 1 if a chapter failed.
"""

import importlib.metadata
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

VERSIONS = Path(__file__).parent / "colab_versions.txt"
WIDGET = "application/vnd.jupyter.widget-view+json"
SHOWS = ("show_slider(", "page.show()")


def listed() -> dict[str, str]:
    """The version that Colab's list gives of each package."""
    lines = VERSIONS.read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if "==" in line)


def run(book, folder: Path) -> str:
    """Execute a notebook in a folder, in this Python; what went wrong, or ""."""
    same = f"import sys; assert sys.prefix == {sys.prefix!r}, sys.prefix"
    book.cells.insert(0, nbformat.v4.new_code_cell(same))
    where = {"metadata": {"path": str(folder)}}
    try:
        NotebookClient(book, timeout=900, kernel_name="python3", resources=where).execute()
    except CellExecutionError as failed:
        return f"{failed.ename}: {failed.evalue.splitlines()[0] if failed.evalue else ''}"
    except Exception as failed:  # a cell that takes too long, a kernel that dies
        return f"{type(failed).__name__}: {' '.join(str(failed).split())}"
    shown = [set(o["data"]) for c in book.cells for o in c.get("outputs", []) if "data" in o]
    views = [kinds for kinds in shown if WIDGET in kinds]
    bare = [k for k in views if not ({"text/plain", "image/png"} <= k or "text/html" in k)]
    shows = any(show in cell.source for cell in book.cells for show in SHOWS)
    if shows and not views:
        return "no widget was shown"
    return f"{len(bare)} widgets without a static twin" if bare else ""


def to_the_last_widget(path: Path) -> str:
    """What goes wrong in a chapter up to its last widget, or ""."""
    book = nbformat.read(path, as_version=4)
    last = max(i for i, c in enumerate(book.cells) if any(show in c.source for show in SHOWS))
    book.cells = book.cells[: last + 1]
    return run(book, Path.cwd())


def only_the_wheel() -> None:
    """Take away what the first cell of an earlier chapter has installed."""
    from dpo_from_scratch.lab.needs import NEEDS

    extras = sorted({module for need in NEEDS.values() for module in need.packages})
    packages = importlib.metadata.packages_distributions()
    there = [name for module in extras for name in packages.get(module, [])]
    if there:
        command = [sys.executable, "-m", "pip", "uninstall", "-q", "-y", *there]
        subprocess.run(command, check=True)


def check(path: Path) -> str:
    """What goes wrong in a chapter that starts with nothing, or ""."""
    only_the_wheel()
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as own:
        os.environ["DPO_CACHE"] = own
        os.environ["DPO_PROGRESS"] = str(Path(own, "solved.json"))
        return run(nbformat.read(path, as_version=4), Path(folder))


def tell_versions() -> None:
    """The versions in force, and those of them that the list has otherwise."""
    print(f"Python {platform.python_version()} (Colab's list is of Python 3.13)")
    for name, wanted in listed().items():
        found = importlib.metadata.version(name)
        exact = found.split("+")[0] == wanted
        print(f"  {name:20s}{found:16s}{'' if exact else f'Colab has {wanted}'}".rstrip())


def main(wanted: list[str]) -> int:
    """The versions, then a line for each chapter as it ends."""
    from dpo_from_scratch.lab import editions

    assert Path(editions.__file__).is_relative_to(sys.prefix), "the wheel is not what is imported"
    os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"  # no warnings about a debugger
    os.environ["COLAB_RELEASE_TAG"] = "colab-check"  # Colab sets it; lab/needs.py looks for it
    tell_versions()
    chapters = [p for p in editions.stored() if p.parent.name != "teaching"]
    chapters = [p for p in chapters if not wanted or p.stem[:2] in wanted]
    print(f"\n{'chapter':34s}{'seconds':>8s}  result", flush=True)
    failed = 0
    for path in chapters:
        started = time.monotonic()
        fault = check(path)
        print(f"{path.stem:34s}{time.monotonic() - started:8.0f}  {fault or 'ok'}", flush=True)
        failed += bool(fault)
    return int(bool(failed) or not chapters)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
