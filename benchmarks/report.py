"""A record as tables: the README's, and everything on the screen."""

import re
from pathlib import Path

from .sides import TRL

MARK = re.compile(r"(<!-- bench -->\n).*?(<!-- /bench -->)", re.S)
PRECISION = {"no": "float32", "bf16": "bf16"}


def cases(record: dict) -> list[dict]:
    """The paired parts: each with its result, and the peak memory of its sides, bytes."""
    found = []
    for entry in record["parts"].values():
        part = entry["part"]
        if part["kind"] != "paired":
            continue
        same = lambda other, part=part: all(
            other[key] == part[key] for key in ("model", "shape", "pairs", "precision")
        )
        memory = {
            e["part"]["side"]: e["result"]["peak"]
            for e in record["parts"].values()
            if e["part"]["kind"] == "memory" and same(e["part"])
        }
        found.append({"part": part, "result": entry["result"], "memory": memory})
    return found


def table(record: dict) -> str:
    """The README's table: a row for each shape."""
    head = [
        "a step of", "TRL's default takes", "TRL at its fastest", "tokens/s", "MFU", "memory",
    ]  # fmt: skip
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for case in cases(record):
        lines.append(f"| {' | '.join(_row(case))} |")
    return "\n".join(lines) + "\n"


def _row(case: dict) -> list[str]:
    part, result, memory = case["part"], case["result"], case["memory"]
    sides = result["sides"]
    times = [_ratio(sides[name]["times_as_long"]) for name in TRL]
    fast = sides["fast"]
    figures = f"{fast['tokens_a_second']:,.0f}", f"{fast['mfu']:.0%}"
    return [_name(part, result), *times, *figures, _shares(memory)]


def _shares(memory: dict) -> str:
    """Our peak memory over that of TRL at its default and at its fastest."""
    if not {"fast", *TRL} <= memory.keys():
        return "–"
    return ", ".join(f"{memory['fast'] / memory[name]:.2f}" for name in TRL)


def _name(part: dict, result: dict) -> str:
    model = {"smollm2": "SmolLM2", "tiny": "tiny"}[part["model"]]
    what = "" if part["shape"] == "reviews" else f", {part['shape']}"
    if result["shorter"] < 1:
        what += f" at {result['shorter']:.0%} of its lengths"
    tokens = f"{result['tokens_a_step']:,.0f} tokens"
    many = "pair" if part["pairs"] == 1 else "pairs"
    return f"{model}, {part['pairs']} {many}{what} ({tokens}), {PRECISION[part['precision']]}"


def _ratio(found: dict) -> str:
    return f"{found['ratio']:.2f} × ({found['low']:.2f} to {found['high']:.2f})"


def into_readme(readme: Path, record: dict) -> None:
    """Put the table between its marks. ValueError if there are none."""
    text = readme.read_text(encoding="utf-8")
    if not MARK.search(text):
        raise ValueError(f"{readme} has no marks for the table")
    made = MARK.sub(lambda found: found[1] + table(record) + found[2], text)
    readme.write_text(made, encoding="utf-8")


def told(record: dict) -> str:
    """Everything that a record says, for the screen."""
    lines = [table(record)]
    for entry in record["parts"].values():
        part, result = entry["part"], entry["result"]
        title = f"{part['model']}, {part['shape']}, {part['pairs']} pairs, {part['precision']}"
        if part["kind"] == "memory":
            lines.append(f"{title}: {part['side']} takes {result['peak'] / 2**20:,.0f} MiB")
        if part["kind"] == "profile":
            shares = ", ".join(f"{kind} {share:.0%}" for kind, share in result["shares"].items())
            lines.append(f"{title}: a fast step is {shares}")
        for name, way in result.get("ways", {}).items():
            lines.append(f"{title}: {name} is {_ratio(way['faster'])} as fast as the first way")
        if "failed" in result:
            lines.append(f"{title}: {part['kind']}: {result['failed']}")
    return "\n".join(lines)
