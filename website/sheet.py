"""The cheat sheet, two pages of A4: losses, gradients, what to watch, defaults, symptom and cause.

`make sheet` writes notebooks/teaching/sheet.html, which any browser prints, and prints it with
Chromium. Losses, their first pull and defaults come from the registry and the presets, what to do
from the doctor, symptoms from tables of chapters 09 and 22; sheet.toml says the rest.
"""

import html
import inspect
import re
import sys
import tomllib
from pathlib import Path

import torch

from dpo_from_scratch import __version__
from dpo_from_scratch.doctor.findings import CAUSES, MEASURED
from dpo_from_scratch.lab import editions
from dpo_from_scratch.losses import LOSSES
from dpo_from_scratch.losses.registry import Loss
from dpo_from_scratch.training import PRESETS, TrainConfig

ROOT = Path(__file__).parent.parent
TEACHING = ROOT / "notebooks" / "teaching"
SOURCE = tomllib.loads((TEACHING / "sheet.toml").read_text(encoding="utf-8"))
# a text of as many tokens, a nat each, under policy and reference alike: a word's usual price
TOKENS = 20.0
GIVEN = {"kl": 0.0, "delta": 0.0, "win_probability": 1.0}  # before the first step; a sure label

SIGNS = {
    "sigmoid": "σ", "eps": "ε", "Delta": "Δ", "beta": "β", "tau": "τ", "alpha": "α",
    "gamma": "γ", "delta": "δ", "rho": "ρ", "pi": "π", "phi": "φ", "ell": "ℓ",
    "odds": "odds", "ref": "ref", "r": "r", "y": "y", "z": "z",
}  # fmt: skip
NAMES = SIGNS | {"label_smoothing": "ε", "penalty": "penalty", "nll_weight": "nll weight"}
WORD = re.compile(r"([A-Za-z]+)(?:_([a-z0-9]+))?")


# ---------------------------------------------------------------- losses
def signed(found: re.Match) -> str:
    """A word of an equation: a Greek letter, a name with its index, or as it stands."""
    base, index = found.groups()
    if index and base not in SIGNS:
        return found[0].replace("_", " ")
    return SIGNS.get(base, base) + (f"<sub>{index}</sub>" if index else "")


def pretty(equation: str) -> str:
    """An equation of the registry as HTML."""
    text = WORD.sub(signed, html.escape(equation, quote=False))
    text = re.sub(r"\^(2|-?[A-Za-zρ]+(?:<sub>\w+</sub>)?)", r"<sup>\1</sup>", text)
    text = text.replace("||", "‖").replace("+-", "±").replace("-", "−").replace("'", "′")
    return text.replace(" ell", " ℓ")


def arguments(loss: Loss) -> dict[str, torch.Tensor]:
    """What a loss takes before the first step: policy and reference agree. One text or pair each,
    for labels one text that is liked and one that is not.
    """
    taken = inspect.signature(loss.fn).parameters
    rows = 2 if loss.needs == "labels" else 1
    scores = dict.fromkeys(("chosen_logps", "rejected_logps", "logps"), -TOKENS)
    scores |= dict.fromkeys(("ref_chosen_logps", "ref_rejected_logps", "ref_logps"), -TOKENS)
    scores |= dict.fromkeys(("chosen_lengths", "rejected_lengths"), TOKENS)
    found = {n: torch.full((rows,), v, dtype=torch.double) for n, v in scores.items()}
    found |= {n: torch.tensor(v, dtype=torch.double) for n, v in GIVEN.items()}
    found["desirable"] = torch.tensor([True, False])
    optional = {n for n, p in taken.items() if p.default is None}
    return {name: found[name] for name in found if name in taken and name not in optional}


def pull(loss: Loss) -> list[float]:
    """Minus the slope of a loss in each log-probability, at the reference: chosen, rejected.

    Thumbs: of a liked text, of a disliked one. SFT: of its text.
    """
    given = arguments(loss)
    asked = [n for n in ("chosen_logps", "rejected_logps", "logps") if n in given]
    leaves = [given[n].requires_grad_() for n in asked]
    slopes = torch.autograd.grad(loss.fn(**given).sum(), leaves)
    return [-float(slope) for slope in torch.cat(slopes)]


def number(value: float) -> str:
    """With its sign, three digits or more."""
    told = f"{value:+.0f}" if abs(value) >= 100 else f"{value:+.3g}"
    return told.replace("-", "−") if value else "0"


def options(loss: Loss) -> str:
    """The defaults of a loss's options."""
    told = [
        f"{NAMES.get(name, name.replace('_', ' '))} {value}"
        for name, value in loss.defaults.items()
    ]
    return ", ".join(told).replace("reverse_kl", "reverse KL")


def loss_row(name: str, loss: Loss) -> str:
    """A row of the table of losses."""
    chapter, what = SOURCE["losses"][name]
    pulls = " ".join(f"<td class=n>{number(value)}</td>" for value in pull(loss))
    pulls += "<td></td>" * (1 if loss.needs == "texts" else 0)
    return (
        f"<tr><td><b>{name}</b></td><td class=f>{pretty(loss.equation)}</td>"
        f"<td>{options(loss)}</td>{pulls}<td>{what}</td><td class=n>{chapter}</td></tr>"
    )


def losses() -> str:
    """All rows of the registry, by what they read."""
    kinds = {
        "Pairs, with a reference": lambda k: k.needs == "pairs" and "reference" in k.inputs,
        "Pairs, without a reference": lambda k: k.needs == "pairs" and "reference" not in k.inputs,
        "Thumbs (pull on a liked and on a disliked text), and texts": lambda k: k.needs != "pairs",
    }
    rows = []
    for kind, holds in kinds.items():
        rows.append(f"<tr><th colspan=7 class=kind>{kind}</th></tr>")
        rows += [loss_row(name, loss) for name, loss in LOSSES.items() if holds(loss)]
    head = "<th>loss<th>for a pair<th>defaults<th>chosen<th>rejected<th>what it is for<th>ch."
    return f"<table class=losses><thead><tr>{head}</tr></thead>{''.join(rows)}</table>"


# ---------------------------------------------------------------- settings
SETTINGS = ("beta", "learning_rate", "steps", "batch_size", "warmup", "decay", "max_grad_norm")
SHOWN = {"tiny": "tiny (this book)", "smollm2": "SmolLM2, LoRA 8", "gpt2": "GPT-2"}


def settings() -> str:
    """What the presets set for DPO."""
    head = "".join(f"<th>{name.replace('_', ' ')}</th>" for name in SETTINGS)
    made = {words: TrainConfig(**PRESETS[name]) for name, words in SHOWN.items()}
    told = [[words, *(str(getattr(config, n)) for n in SETTINGS)] for words, config in made.items()]
    return f"<table><tr><th>preset</th>{head}</tr>{rows(told)}</table>"


# ---------------------------------------------------------------- what to watch, and symptoms
def cell(chapter: str, name: str) -> dict:
    """A cell of a chapter by its id."""
    (path,) = (ROOT / "notebooks").glob(f"{chapter}*.ipynb")
    (found,) = (c for c in editions.read(path)["cells"] if c["id"] == name)
    return found


def plain(markdown: str) -> str:
    """A table's entry as HTML: links as words, code and the few formulas kept."""
    text = html.escape(markdown.strip(), quote=False)
    text = re.sub(r"\[(.*?)\]\(.*?\)", r"\1", text)
    text = text.replace("$-\\ln V$", "−ln V").replace("chapter ", "ch. ")
    return re.sub(r"`(.*?)`", r"<code>\1</code>", text)


def table_of(chapter: str, name: str, columns: int) -> list[list[str]]:
    """The rows of a chapter's table, without its head."""
    lines = [x for x in "".join(cell(chapter, name)["source"]).splitlines() if x.startswith("|")]
    return [[plain(part) for part in line.split("|")[1:-1]][:columns] for line in lines[2:]]


def rows(found: list[list[str]]) -> str:
    """Rows of a table."""
    return "".join("<tr>" + "".join(f"<td>{x}</td>" for x in row) + "</tr>" for row in found)


HEAD = "<tr><th>what you see<th>what it can be<th>how to tell</tr>"


def curves() -> str:
    """Chapter 09's table: curves that alarm, of a run that may be healthy."""
    told = [row for row in table_of("09", "8cdafb42", 4) if row[1] != "a bug"]
    told = [
        [see, cause, f"{tell} ({where})" if where else tell] for see, cause, tell, where in told
    ]
    return f"<table class=three>{HEAD}{rows(told)}</table>"


def bugs() -> str:
    """Chapter 22's table."""
    return f"<table class=three>{HEAD}{rows(table_of('22', 'bug-51', 3))}</table>"


def doctor() -> str:
    """The causes that the doctor reads off curves, and what it says to do."""
    told = [[f"<b>{code}</b>", plain(CAUSES[code][0])] for code in MEASURED]
    return f"<table class=wide><tr><th>the doctor says<th>to do</tr>{rows(told)}</table>"


def watch() -> str:
    """What to look at, in this order."""
    told = [[f"<b>{w['name']}</b>", w["says"]] for w in SOURCE["watch"]]
    return f"<table class=wide>{rows(told)}</table>"


def steps() -> str:
    """From the goal to the loss and its gradient."""
    told = [
        [f"<span class=f>{s['formula']}</span>", s["says"], s["chapter"]] for s in SOURCE["step"]
    ]
    return f"<table class=steps>{rows(told)}</table>"


STYLE = """
@page { size: A4; margin: 10mm 11mm; }
* { box-sizing: border-box; }
body { font: 7.4pt/1.28 "Liberation Sans", Arial, sans-serif; color: #111; background: #fff;
  margin: 0 auto; max-width: 188mm; }
section { break-after: page; min-height: 276mm; position: relative; }
section:last-of-type { break-after: auto; font-size: 8pt; }
h1 { font-size: 13pt; margin: 0 0 1mm; } h2 { font-size: 9pt; margin: 2.6mm 0 0.8mm; }
small { font-weight: normal; color: #444; font-size: 7.6pt; }
p { margin: 0 0 1mm; }
table { border-collapse: collapse; width: 100%; }
th { text-align: left; font-weight: bold; border-bottom: 0.5pt solid #111; }
th, td { padding: 0.32mm 1.2mm 0.32mm 0; vertical-align: top; }
td { border-bottom: 0.25pt solid #bbb; }
.kind { font-weight: normal; font-style: italic; border: 0; padding-top: 1mm; }
.n { white-space: nowrap; } .f { font-family: "Liberation Serif", "Times New Roman", serif;
  font-size: 8.4pt; } .steps td:first-child { white-space: nowrap; padding-right: 3mm; }
sub, sup { font-size: 70%; line-height: 0; } b { white-space: nowrap; }
code { font: 6.8pt "Liberation Mono", monospace; }
.three td { width: 33%; } .two { display: grid; grid-template-columns: 1fr 1fr;
  gap: 5mm; } footer { position: absolute; bottom: 0; color: #444; font-size: 6.8pt; }
@media screen { body { padding: 6mm; } footer { position: static; margin-top: 2mm; } }
@media screen and (max-width: 700px) { section { overflow-x: auto; min-height: 0; }
  .two { grid-template-columns: 1fr; } table.losses { min-width: 640px; } body { font-size: 9pt; }
  .steps td:first-child { white-space: normal; } }
"""
FOOT = "DPO from Scratch {version}, page {page} of 2. Text under CC BY 4.0. Numbers in brackets or \
in the last column are chapters."


def page() -> str:
    """The sheet as one file of HTML, which loads nothing."""
    foot = [f"<footer>{FOOT.format(version=__version__, page=n)}</footer>" for n in (1, 2)]
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>DPO on two pages</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head>
<body><main><section tabindex=0 aria-label="page 1"><h1>DPO on two pages</h1>
<h2>From the goal to the gradient</h2>{steps()}
<h2>Every loss of the package <small>ρ log-ratio, Δ = ρ<sub>w</sub> − ρ<sub>l</sub>, m = βΔ,
r = βρ, ℓ = log π; chosen, rejected: what the first step pulls, −∂L/∂log π at the reference with
the defaults, for texts of {TOKENS:g} tokens at a nat each</small></h2>{losses()}
<h2>Settings for DPO <small>the presets of <code>dpo train</code></small></h2>{settings()}
{foot[0]}</section>
<section tabindex=0 aria-label="page 2">
<div class=two><div><h2>What to watch, in this order</h2>{watch()}
<h2>Curves of a run that may be healthy <small>chapter 09</small></h2>{curves()}</div>
<div><h2>What the doctor reads off curves <small><code>dpo doctor runs/NAME</code></small></h2>
{doctor()}</div></div>
<h2>Signs of a bug <small>chapter 22</small></h2>{bugs()}{foot[1]}</section></main></body></html>
"""


def printed(file: Path, out: Path) -> None:
    """Print a file of HTML with Chromium."""
    from pdf import launch
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = launch(playwright)
        opened = browser.new_page(color_scheme="light")
        opened.goto(file.resolve().as_uri())
        out.write_bytes(opened.pdf(prefer_css_page_size=True, tagged=True))
        browser.close()
    print(f"the cheat sheet: {out}")


if __name__ == "__main__":
    made = TEACHING / "sheet.html"
    made.write_text(page(), encoding="utf-8")
    if sys.argv[1:]:
        out = Path(sys.argv[1])
        out.parent.mkdir(parents=True, exist_ok=True)
        printed(made, out)
