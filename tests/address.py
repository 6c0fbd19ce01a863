"""Give the repository another address, everywhere in the book.

`make address ADDRESS=https://github.com/you/course`, in a copy of your own. The address stands in
pyproject.toml, and again wherever a file can't look there: badges and setup cells of the chapters,
the website, CITATION.cff. Colab opens chapters from GitHub only, so the address is one of GitHub.
"""

import os
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
KINDS = {".cff", ".css", ".html", ".ipynb", ".js", ".md", ".py", ".toml", ".txt", ".yaml", ".yml"}
HIDDEN = {".github", ".ci"}  # of the folders whose names begin with a dot, only these are ours
MADE = {"_build", "build", "dist", "mutants", "runs", "results", "__pycache__"}


def address_of(root: Path) -> str:
    """What pyproject.toml says, such as "https://github.com/you/course"."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return project["urls"]["Repository"]


def files(root: Path) -> Iterator[Path]:
    """Every file in which an address may stand."""
    for folder, inner, names in os.walk(root):
        inner[:] = [n for n in inner if n not in MADE and (n[0] != "." or n in HIDDEN)]
        yield from (Path(folder) / n for n in sorted(names) if Path(n).suffix in KINDS)


def moved(text: str, old: tuple[str, str], new: tuple[str, str]) -> str:
    """The text with owner and name changed: on GitHub, in Colab, on GitHub's pages."""
    (owner, name), whole = map(re.escape, old), "/".join(new)
    text = re.sub(rf"(clone \S*github\.com/{owner}/{name}\s+cd ){name}\b", rf"\g<1>{new[1]}", text)
    text = re.sub(rf"(github\.com[/:]|/github/){owner}/{name}(?![\w-])", rf"\g<1>{whole}", text)
    return re.sub(rf"\b{owner}\.github\.io/{name}(?![\w-])", f"{new[0]}.github.io/{new[1]}", text)


def move(root: Path, address: str) -> list[Path]:
    """Change the address in all files; those that changed."""
    form = r"https://github\.com/([\w-]+)/([\w.-]+?)"
    new, old = re.fullmatch(form, address), re.fullmatch(form, address_of(root))
    if not new or address.endswith((".git", "/")):
        sys.exit("an address has this form: make address ADDRESS=https://github.com/you/course")
    changed = []
    for path in files(root):
        text = path.read_bytes().decode("utf-8")  # bytes, so that line ends stay what they are
        if (after := moved(text, old.groups(), new.groups())) != text:
            path.write_bytes(after.encode("utf-8"))
            changed.append(path)
    return changed


if __name__ == "__main__":
    found = move(ROOT, sys.argv[1] if len(sys.argv) > 1 else "")
    print(f"{len(found)} files changed:", *(path.relative_to(ROOT).as_posix() for path in found))
