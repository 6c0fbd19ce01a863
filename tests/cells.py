"""What the cells of the notebooks show, and whether a number stands in them."""

import re
from functools import cache
from pathlib import Path

from dpo_from_scratch.lab import editions

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
NUMBER = re.compile(r"\d(?:[\d,]*\d)?(?:\.\d+)?(?:e[-−]?\d+)?")
source = lambda cell: "".join(cell["source"])


@cache
def cells_of(where: str) -> list[dict]:
    """A notebook's cells, by its chapter, "04", or its name."""
    (path,) = NOTEBOOKS.glob(f"{where}*.ipynb")
    return editions.read(path)["cells"]


def printed(cell: dict) -> str:
    """A cell's words and what it printed."""
    texts = [source(cell)]
    for output in cell.get("outputs", []):
        data = output.get("data", {})
        texts += ["".join(output.get("text", ""))]
        texts += ["".join(data.get(kind, "")) for kind in ("text/plain", "text/markdown")]
    return "\n".join(texts)


def numbers(text: str) -> list[str]:
    """The figures of a text; ln 2 and signs are words."""
    found = NUMBER.findall(re.sub(r"ln 2", "", text))
    return [number.replace("−", "-").replace(",", "") for number in found]


def stands(number: str, values: list[float]) -> bool:
    """Whether one of the values is this number, or rounds to it."""
    places = len(number.partition("e")[0].partition(".")[2])
    near = 0.5001 * 10.0**-places if places and "e" not in number else 1e-9
    return any(abs(value - float(number)) <= near for value in values)


def missing(texts: list[str], where: str, names: list[str]) -> list[str]:
    """The numbers of the texts that none of the cells shows. AssertionError if one isn't there."""
    cells = {cell["id"]: cell for cell in cells_of(where)}
    assert set(names) <= cells.keys()
    values = [float(n) for name in names for n in numbers(printed(cells[name]))]
    return [n for text in texts for n in numbers(text) if not stands(n, values)]
