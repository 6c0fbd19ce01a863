"""Records of studies that take longer than a minute: made once, point by point, kept under data/results/, plotted by chapters.

A study is a script beside its record (`data/results/NAME.py` and `.json`). Run again, it makes the points that the record
lacks, so a killed study goes on where it stopped. A record holds settings, seeds, versions, and a hash of its source.
After a change of source that should change no figure, `python data/results/NAME.py --verify` makes the first point again;
if it is equal to the last digit, the record is marked as verified for the new source. Else the study must be run again.
"""

import ast
import hashlib
import json
import platform
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import transformers
from tqdm.auto import tqdm

from .data import data_path
from .runs import write_text


def run_study(
    script: str | Path, title: str, points: list[dict], run: Callable[[dict], dict], folder: str | Path | None = None
) -> Path:
    """Make the points that the record of this script lacks; `run(point)` returns a point's figures. Returns the record's path."""
    script = Path(script)
    path = Path(folder or script.parent) / f"{script.stem}.json"
    record = json.loads(path.read_text()) if path.exists() else {"points": []}
    head = {"study": script.stem, "title": title, "command": f"python data/results/{script.name}", "source": source_hash(script)}
    if "--verify" in sys.argv:
        return verify(path, record, head["source"], run)
    if head["source"] not in {record.get("source"), record.get("verified", {}).get("source")}:
        record["points"] = []  # figures of another source are not mixed with these
    done = [row["point"] for row in record["points"]]
    for point in tqdm([p for p in points if p not in done], desc=script.stem):
        record = head | {"versions": versions(), "points": record["points"] + [{"point": point, "result": run(point)}]}
        write_text(path, json.dumps(record, indent=1) + "\n")
    return path


def verify(path: Path, record: dict, source: str, run: Callable[[dict], dict]) -> Path:
    """Make the first point of a record again; if all but its clock times are equal to the last digit, note the new source."""
    first = record["points"][0]
    found = json.loads(json.dumps(run(first["point"])))
    differ = [key for key in first["result"] if key != "seconds" and found.get(key) != first["result"][key]]
    if differ:
        what = f"{path.stem}: {', '.join(differ)} of {first['point']}"
        raise SystemExit(f"{what} come out differently: delete the record and run again")
    record["verified"] = {"source": source, "versions": versions(), "point": first["point"]}
    write_text(path, json.dumps(record, indent=1) + "\n")
    return path


def load_record(name: str) -> dict:
    """A shipped record, with `fresh` False if the source has changed since it was made, or last verified."""
    record = json.loads(data_path(f"results/{name}.json").read_text())
    known = {record["source"], record.get("verified", {}).get("source")}
    return record | {"fresh": source_hash(data_path(f"results/{name}.py")) in known}


def versions() -> dict[str, str]:
    """What a record was made with."""
    found = {"torch": torch.__version__, "transformers": transformers.__version__, "numpy": np.__version__}
    return {"python": platform.python_version()} | found | {"threads": str(torch.get_num_threads())}


def source_hash(script: Path) -> str:
    """sha256 over the syntax trees, without docstrings, of a script and all package modules that it leads to."""
    todo, trees = [script], {}
    while todo:
        path = todo.pop()
        if path.name in trees or not path.exists():
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.level == 1 or (node.module or "").startswith("dpo_from_scratch")):
                module = (node.module or "").removeprefix("dpo_from_scratch").removeprefix(".")
                todo += [Path(__file__).with_name(f"{name}.py") for name in ([module] if module else [a.name for a in node.names])]
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
                node.body = node.body[1:]
        trees[path.name] = ast.dump(tree)
    return hashlib.sha256("\n".join(trees[name] for name in sorted(trees)).encode()).hexdigest()[:16]
