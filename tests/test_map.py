"""The map: what the package's docstring and the README say is there, and only that, is there."""

import re
from pathlib import Path

import dpo_from_scratch

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "dpo_from_scratch"
README = (ROOT / "README.md").read_text(encoding="utf-8")
READING_ORDER = "logprobs -> losses -> training/loop"


def places(lines: list[str]) -> dict[str, str]:
    """Path -> phrase, of indented lines "  name.py   phrase"; a folder ends in a slash."""
    found, above = {}, []
    for line in lines:
        entry = re.fullmatch(r"( +)([\w.]+/?)  +(\S.*)", line)
        if entry:
            depth = len(entry[1]) // 2 - 1
            above = above[:depth]
            assert len(above) == depth, line
            found["".join(above) + entry[2]] = entry[3]
            above.append(entry[2])
    return found


def test_the_map_names_every_file_and_no_other():
    named = places(dpo_from_scratch.__doc__.splitlines())
    files = {path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py")}
    there = {re.sub(r"__init__\.py$", "", name) for name in files} - {""}
    assert sorted(named) == sorted(there)
    assert len(set(named.values())) == len(named), "two files with the same phrase"


def test_the_map_shows_rooms_with_their_arrows_in_reading_order():
    rooms = re.findall(r"^([A-Z]\w+)\b.*?  -> (.+)$", dpo_from_scratch.__doc__, re.M)
    assert dict(rooms) == {
        "Core": "nothing",
        "Doctor": "core",
        "Fast": "core",
        "Roads": "core",
        "World": "nothing, but world/tiny -> core",
        "Laboratory": "core, doctor, roads, world",
        "Studies": "all of the above",
        "Commands": "all of the above",
    }
    assert READING_ORDER in dpo_from_scratch.__doc__
    named = list(places(dpo_from_scratch.__doc__.splitlines()))
    core = [
        name for name in named[: named.index("doctor/")] if name.count("/") == name.endswith("/")
    ]
    assert core == [
        *("logprobs.py", "losses/", "exact.py", "turns.py", "tokens.py", "data/", "others.py"),
        *("folders.py", "saving.py", "smollm2.py", "models.py"),
        *("scoring.py", "training/", "processes/", "next_logits.py", "sampling.py"),
    ]


def test_the_readme_names_the_rooms_and_where_to_begin():
    assert READING_ORDER in README
    block = re.search(r"^## The rooms\n+```\n(.*?)```", README, re.M | re.S)[1]
    assert len(block.splitlines()) <= 15
    top = {path.name for path in ROOT.iterdir() if path.is_dir()}
    shown = re.findall(r"^(\w+)/ ", block, re.M)
    assert set(shown) <= top
    assert {"notebooks", "dpo_from_scratch", "data", "website", "tests"} <= set(shown)
    inner = [line[4:35] for line in block.splitlines() if line.startswith(" " * 4)]
    rooms = " ".join(inner).split()
    there = {p.name for p in PACKAGE.iterdir() if p.is_dir() and not p.name.startswith("__")}
    assert {room.rstrip("/") for room in rooms if room.endswith("/")} == there
    files = {p.stem for p in PACKAGE.glob("*.py") if not p.stem.startswith("__")}
    assert {room for room in rooms if not room.endswith("/")} == files
    order = places(dpo_from_scratch.__doc__.splitlines())
    named = [name.removesuffix(".py") for name in order]
    assert sorted(rooms, key=named.index) == rooms, "the rooms stand in the order of the map"
