"""Slides for a teacher, a deck for each part of the book, from the chapters' own cells.

`make slides` writes website/_build/slides, which works from a folder, without a network. What a
slide shows is named in notebooks/teaching/slides.toml, never copied: a chapter, a cell, and what
is taken of it. Its speaker notes are the chapter's own words about it.
"""

import html
import re
import shutil
import sys
import tempfile
import tomllib
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from dpo_from_scratch.lab import editions

ROOT = Path(__file__).parent.parent
TEACHING = ROOT / "notebooks" / "teaching"
STATIC = Path(__file__).parent / "_static"
# what the theme writes and axe minds: a page that can't be enlarged, a landmark inside another
FIXED = ", maximum-scale=1.0, user-scalable=no"
INSIDE = '<div class="slides" role="main">'
REVEAL = {  # what reveal.js is told
    "width": 1280, "height": 720, "margin": 0.02, "hash": True, "slideNumber": "c/t",
    "transition": "none", "center": False, "navigationMode": "linear",
}  # fmt: skip
SETTINGS = {  # what Sphinx is told; mathematics as in conf.py, from a Python package
    "project": "DPO from Scratch",
    "language": "en",
    "extensions": ["myst_parser", "sphinx.ext.mathjax", "sphinx_revealjs"],
    "myst_enable_extensions": ["dollarmath", "amsmath"],
    "myst_update_mathjax": False,
    "mathjax_path": "mathjax/MathJax.js?config=TeX-AMS-MML_HTMLorMML-full",
    "mathjax2_config": {
        "tex2jax": {"ignoreClass": "tex2jax_ignore", "processClass": "math"},
        "HTML-CSS": {"preferredFont": None, "availableFonts": [], "webFont": "STIX-Web"},
        "showMathMenu": False,
        "messageStyle": "none",
    },
    "revealjs_style_theme": "white",
    "revealjs_static_path": [str(STATIC / "slides")],
    "revealjs_css_files": ["slides.css"],
    "revealjs_script_plugins": [{"name": "RevealNotes", "src": "revealjs/plugin/notes/notes.js"}],
    "revealjs_script_conf": REVEAL,
}
SIGNS = {  # of TeX in speaker notes, which are plain text; other commands are left out
    "log": "log", "exp": "exp", "mid": "|", "Vert": "‖", "pi": "π", "beta": "β", "rho": "ρ",
    "sigma": "σ", "Delta": "Δ", "eta": "η", "tau": "τ", "theta": "θ", "epsilon": "ε", "mu": "μ",
    "alpha": "α", "delta": "δ", "succ": "≻", "ge": "≥", "le": "≤", "sim": "~", "propto": "∝",
    "langle": "⟨", "rangle": "⟩", "lVert": "‖", "rVert": "‖", "lvert": "|", "rvert": "|",
    "sum": "Σ", "approx": "≈", "tfrac": "", "cdot": "·", "ln": "ln", "infty": "∞", "ne": "≠",
}  # fmt: skip


# ---------------------------------------------------------------- what is taken of a cell
def decks() -> list[dict]:
    """The decks of slides.toml: file, title, and slides with title, show, notes, say."""
    return tomllib.loads((TEACHING / "slides.toml").read_text(encoding="utf-8"))["deck"]


@cache
def cells(chapter: str) -> dict[str, dict]:
    """A chapter's cells by their ids, in order."""
    (path,) = (ROOT / "notebooks").glob(f"{chapter}_*.ipynb")
    return {cell["id"]: cell for cell in editions.read(path)["cells"]}


def source(cell: dict) -> str:
    """A cell's text."""
    return "".join(cell["source"])


def words(markdown: str) -> str:
    """Without links, so that nothing leads out of a deck."""
    return re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", markdown)


def some(lines: list[str], which: str) -> list[str]:
    """Lines "1,3-5", counted from 1; all of them if nothing is asked."""
    if not which:
        return lines
    ends = [part.partition("-") for part in which.split(",")]
    return [line for a, _, b in ends for line in lines[int(a) - 1 : int(b or a)]]


def math(cell: dict, which: str) -> str:
    """The displayed equations of a cell, or some of them."""
    found = re.findall(r"^\$\$.+?\$\$(?= *$)", source(cell), re.M | re.S)
    return "\n\n".join(some(found, which))


def text(cell: dict, which: str) -> str:
    """Paragraphs of a cell: "2" the second, "2.1-2" its first two sentences."""
    plain = [p for p in re.split(r"\n{2,}", words(source(cell))) if not p.startswith(("#", "$$"))]
    paragraph, _, sentences = which.partition(".")
    (found,) = some(plain, paragraph)
    told = " ".join(some(re.split(r"(?<=[.?!)])\s+(?=[A-Z*(])", found), sentences))
    return re.sub(r"^\*(?!\*)|(?<!\*)\*$", "", told)  # a caption's emphasis


def table(cell: dict, which: str) -> str:
    """A table of a markdown cell: its head and some of its rows."""
    rows = [line for line in words(source(cell)).splitlines() if line.startswith("|")]
    return "\n".join([*rows[:2], *some(rows[2:], which)])


def block(lines: list[str]) -> str:
    """Lines as they stand, at a size at which the longest one fits."""
    size = min(25.0, 1960 / max(map(len, lines)))
    told = html.escape("\n".join(lines), quote=False)
    return f'<pre style="font-size: {size:.1f}px"><code>{told}</code></pre>'


def code(cell: dict, which: str) -> str:
    """Lines of a code cell."""
    return block(some(source(cell).splitlines(), which))


def output(cell: dict, which: str) -> str:
    """Lines that a cell printed."""
    told = "".join("".join(out.get("text", "")) for out in cell["outputs"])
    return block(some(told.rstrip().splitlines(), which))


def figure(cell: dict, which: str) -> str:
    """A cell's picture, with its alt text, inside the page itself."""
    (picture,) = (
        "".join(out["data"]["image/png"]).strip()
        for out in cell["outputs"]
        if "image/png" in out.get("data", {})
    )
    alt = html.escape(cell["metadata"]["alt"])
    return f'<img class="figure" alt="{alt}" src="data:image/png;base64,{picture}">'


TAKES = {f.__name__: f for f in (math, text, table, code, output, figure)}


def piece(named: str) -> str:
    """ "04 ch04-38 output 2-5" as Markdown."""
    chapter, name, take, *which = named.split()
    return TAKES[take](cells(chapter)[name], *which or [""])


def spoken(markdown: str) -> str:
    """A chapter's words as plain text for the speaker."""
    told = re.sub(r"<details>.*?</details>", "", words(markdown), flags=re.S)
    told = re.sub(r"^#+ .*$|^\|.*$", "", told, flags=re.M)
    told = re.sub(r"[*`]", "", told.replace("^*", "∗"))
    told = re.sub(r"\\(?:mathrm|operatorname|mathcal|mathbb|text)\{([^{}]*)\}", r"\1", told)
    told = re.sub(r"([_^])\{([^{}]*)\}", r"\1\2", told)
    told = re.sub(r"\\t?frac\{([^{}]*)\}\{([^{}]*)\}", r"\1/\2", told)
    told = re.sub(r"\\([A-Za-z]+)", lambda name: SIGNS.get(name[1], ""), told)
    return re.sub(r"\n{2,}", "\n", re.sub(r"[{}$\\]", "", told)).strip()


def notes(slide: dict) -> str:
    """What the speaker sees: the teacher's hint, the chapter's words, where they stand."""
    told = [slide.get("say", "")]
    for named in slide.get("notes", []):
        chapter, name = named.split()
        told.append(spoken(source(cells(chapter)[name])))
    shown = dict.fromkeys(named.split()[0] for named in slide["show"])
    told.append(f"From chapter {', '.join(shown)}.")
    lines = [line for part in told for line in part.splitlines() if line.strip()]
    inside = "".join(f"<p>{html.escape(line, quote=False)}</p>" for line in lines)
    return f'<aside class="notes">{inside}</aside>'


# ---------------------------------------------------------------- a deck
def title_of(chapter: str) -> str:
    """A chapter's title."""
    return source(next(iter(cells(chapter).values()))).splitlines()[0].removeprefix("# ")


def chapters_of(deck: dict) -> list[str]:
    """The chapters that a deck shows, in order."""
    shown = (named.split()[0] for slide in deck["slide"] for named in slide["show"])
    return list(dict.fromkeys(shown))


def page(deck: dict) -> str:
    """A deck as Markdown: a title with its chapters, then a section for each slide."""
    told = "\n".join(f"- **{chapter}** {title_of(chapter)}" for chapter in chapters_of(deck))
    keys = "Arrow keys or space: on. S: the speaker's view. O: all slides. Print: add ?print-pdf."
    parts = [f'# {deck["title"]}\n\n{told}\n\n<p class="keys">{keys}</p>']
    for slide in deck["slide"]:
        shown = "\n\n".join(map(piece, slide["show"]))
        if len(slide["show"]) == 1:
            shown = shown.replace('class="figure"', 'class="figure alone"')
        parts.append(f"## {slide['title']}\n\n{shown}\n\n{notes(slide)}")
    return "\n\n".join(parts) + "\n"


def sources(folder: Path) -> None:
    """The decks' Markdown, and a first page that lists them."""
    folder.mkdir(parents=True, exist_ok=True)
    made = decks()
    for deck in made:
        (folder / f"{deck['file']}.md").write_text(page(deck), encoding="utf-8")
    links = "\n".join(f"- [{deck['title']}]({deck['file']}.md)" for deck in made)
    names = "\n".join(deck["file"] for deck in made)
    first = f"# DPO from Scratch: slides\n\n{links}\n\n```{{toctree}}\n:hidden:\n\n{names}\n```\n"
    (folder / "index.md").write_text(first, encoding="utf-8")


def build(out: Path) -> None:
    """All decks as HTML in `out`, with reveal.js and MathJax beside them."""
    from sphinx.application import Sphinx

    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "source"
        sources(folder)
        trees = Path(place) / "doctrees"
        strict = {"status": None, "freshenv": True, "warningiserror": True}
        Sphinx(folder, None, out, trees, "revealjs", SETTINGS, **strict).build()
    for made in out.glob("*.html"):
        told = made.read_text(encoding="utf-8")
        made.write_text(told.replace(FIXED, "").replace(INSIDE, "<div class='slides'>"), "utf-8")
    package = Path(find_spec("jupyter_server_mathjax").origin).parent
    shutil.copytree(package / "static", out / "_static" / "mathjax", dirs_exist_ok=True)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    build(folder)
    print(f"the slides: {folder / 'index.html'}")
