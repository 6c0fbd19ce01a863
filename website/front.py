"""What the website's first page shows that no notebook stores, and llms.txt.

The README's table of chapters is the one place that says what a chapter is about.
"""

import html
import json
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| \[(\d\d)\]\(notebooks/(\w+)\.ipynb\) \| (.*?) \| (.*?) \|$", re.M)
# number -> itself, the page's name, the title, what it is about
CHAPTERS = {row[1]: row.groups() for row in ROW.finditer(README)}
GUIDES = {  # page -> title, what it is about; these have no number
    "your_own_model_and_data": (
        "Your own model and data",
        "from a file of pairs to a model that is evaluated without a true reward: check, choose"
        " settings, train, intervals, how many prompts a claim needs, what became worse",
    )
}
SITE = re.search(r"\[Read it\]\((https://\S+/)\)", README)[1]  # where the website is published
ABOUT = " ".join(re.search(r"^# .*\n\n((?:.+\n)+)", README)[1].split())

PICTURE = """<figure class="frontier">
<a href="07_sweep_beta.html"><img src="_static/frontier.svg" width="500" height="390" alt="{}"></a>
</figure>"""
SHOWS = (
    "Mean true reward against KL on a logarithmic axis. A black line, the best reward that there"
    " can be at each distance, climbs from 0.6 to 8.2. Blue dots, 24 models trained with DPO,"
    " stay a little below it at first, level off at a reward of 3 and 2.5 nats, and fall below"
    " where they began, to minus 0.8 at 25 nats."
)


def fill(text: str) -> str:
    """The page with its picture, and its chapters where a comment names the first and the last."""
    text = text.replace("<!-- frontier -->", PICTURE.format(html.escape(SHOWS)))
    text = text.replace("<!-- guides -->", "\n".join(guide_lines(".ipynb")))
    return re.sub(r"<!-- chapters (\d\d) to (\d\d) -->", lambda found: lines(*found.groups()), text)


def lines(first: str, last: str) -> str:
    """A list of chapters, each with the phrase that says what is in it."""
    return "\n".join(
        f"- [{number}. {title}]({page}.ipynb): {words}"
        for number, page, title, words in CHAPTERS.values()
        if first <= number <= last
    )


def guide_lines(ending: str, address: str = "") -> list[str]:
    """A list of guides, as `lines` of chapters."""
    rows = GUIDES.items()
    return [f"- [{title}]({address}{page}{ending}): {words}" for page, (title, words) in rows]


def description(page: str) -> str:
    """What a search engine shows below a page's name."""
    if page in GUIDES:
        title, words = GUIDES[page]
        return plain(f"{title}: {words}. A guide of DPO from Scratch, a notebook textbook.")
    number, stem, title, words = CHAPTERS.get(page[:2], [None] * 4)
    if page != stem:
        return plain(ABOUT)
    return plain(f"{title}: {words}. Chapter {number} of DPO from Scratch, a notebook textbook.")


def plain(markdown: str) -> str:
    """Markdown without its links, emphasis and code marks."""
    return re.sub(r"[*`]", "", re.sub(r"\[(.*?)\]\(.*?\)", r"\1", markdown))


def write_llms(folder: Path, address: str) -> None:
    """llms.txt: what the book is, and every chapter's address and phrase, for programs."""
    rows = [
        f"- [{number}. {title}]({address}{page}.html): {words}"
        for number, page, title, words in CHAPTERS.values()
    ]
    guides = ["## Guides", "", *guide_lines(".html", address), ""]
    told = ["# DPO from Scratch", "", plain(ABOUT), "", "## Chapters", "", *rows, "", *guides]
    text = "\n".join(told)
    (folder / "llms.txt").write_text(text, encoding="utf-8")


def runs() -> list[tuple[float, float, float]]:
    """(beta, KL, true reward) of each run of the sweep, from its stored record."""
    record = (ROOT / "data/results/beta_sweep.json").read_text(encoding="utf-8")
    return [
        (point["point"]["beta"], point["result"]["kl"], point["result"]["true_reward"])
        for point in json.loads(record)["points"]
        if point["point"].keys() == {"beta", "seed"}
    ]


def draw(file: Path) -> None:
    """The trained policies under the exact optimum."""
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    from dpo_from_scratch.lab.figures.landing import frontier
    from dpo_from_scratch.lab.plots import STYLE

    with plt.rc_context(STYLE | {"svg.hashsalt": "frontier"}):  # the same file each time
        figure = frontier(runs())
        figure.savefig(file, metadata={"Date": None})
        plt.close(figure)


if __name__ == "__main__":
    draw(ROOT / "website/_static/frontier.svg")
