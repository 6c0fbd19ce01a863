"""The book as one PDF: the website's pages, in the order of its side bar, printed by Chromium.

`make pdf` builds the website first. All pages become one document, so that a link to another
chapter leads to it inside the PDF. It is printed twice: the first print tells on which page each
line of the contents is, the second one says so.
"""

import html
import io
import posixpath
import shutil
import sys
from pathlib import Path
from urllib.parse import unquote

import yaml
from bs4 import BeautifulSoup, Tag

sys.path.insert(0, str(Path(__file__).parent))
from front import SITE

ROOT = Path(__file__).parent.parent
NO_CHROMIUM = "no Chromium on this machine: install one (on Debian: apt-get install chromium)"
# Formulas are set with one chapter on the page at a time: MathJax measures the whole page for each.
BY_HAND = """<script type="text/x-mathjax-config">
MathJax.Hub.Config({skipStartupTypeset: true})</script>"""
DRAW = """async () => {
    const texts = [...document.querySelectorAll("article")];
    texts.forEach(text => { text.hidden = true; });
    for (const text of texts) {
        text.hidden = false;
        await new Promise(done => MathJax.Hub.Queue(["Typeset", MathJax.Hub, text], done));
        text.hidden = true;
    }
    texts.forEach(text => { text.hidden = false; });
    await document.fonts.ready;
}"""
NUMBER = """numbers => document.querySelectorAll('.lines a').forEach(
    link => link.dataset.page = numbers[decodeURIComponent(link.hash.slice(1))])"""


def launch(playwright):
    """A headless Chromium: the machine's own, or else the one that Playwright installed."""
    found = map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))
    path = next(filter(None, found), playwright.chromium.executable_path)
    if not Path(path).exists():
        sys.exit(NO_CHROMIUM)
    return playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])


def read(site: Path, page: str) -> BeautifulSoup:
    """A page of the website, as it was built."""
    return BeautifulSoup((site / page).read_text(encoding="utf-8"), "html.parser")


def parts(home: BeautifulSoup) -> dict[str, list[str]]:
    """The side bar of a page of the website: part -> its pages."""
    return {
        caption.get_text(strip=True): [link["href"] for link in caption.find_next("ul").select("a")]
        for caption in home.select("nav.bd-links p.caption")
    }


def inside(address: str, page: str, pages: list[str]) -> str:
    """Where in the book a link of a page leads; out of it where it did so before."""
    file, _, name = address.partition("#")
    target = posixpath.normpath(posixpath.join(posixpath.dirname(page), file)) if file else page
    if target.startswith("play/"):
        return SITE + target  # a page that moves can't be printed
    if target not in pages:
        return address
    return f"#{target}:{name}" if name else f"#{target}"


def article(site: Path, page: str, pages: list[str]) -> Tag:
    """The text of a page, with all that is folded open, and names that are its own in the book."""
    text = read(site, page).select_one("article.bd-article")
    for tag in text.select("[id]"):
        tag["id"] = f"{page}:{tag['id']}"
    for link in text.select("a.headerlink"):
        link.decompose()
    for link in text.select("a[href]"):
        link["href"] = inside(link["href"], page, pages)
    for picture in text.select("img"):
        if not picture["src"].startswith("data:"):
            picture["src"] = posixpath.normpath(
                posixpath.join(posixpath.dirname(page), picture["src"])
            )
    for fold in text.select("details"):
        fold["open"] = ""
    text["id"] = page
    return text


def title_page() -> str:
    """Title, authors, version, how to cite, and the licences."""
    about = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    title, version, address = about["title"], about["version"], about["repository-code"]
    authors, date = about["authors"][0]["name"], about["date-released"]
    return f"""<section class="front"><h1>{title}</h1>
<p class="subject">The notebook textbook of Direct Preference Optimization</p>
<p>{authors}<br>Version {version}, {date}</p>
<p class="small">To cite: {authors} ({date:%Y}). <em>{title}</em>, version {version}.
<a href="{address}">{address}</a><br>Code under the Apache License 2.0, text under CC BY 4.0.<br>
All of it runs: the notebooks and the package are at the same address.</p></section>"""


def contents(book: dict[str, list[Tag]]) -> list[tuple[int, str, str]]:
    """(depth, words, name of the place) of each part, chapter and section."""
    lines = []
    for part, texts in book.items():
        lines.append((0, part, texts[0]["id"]))
        for text in texts:
            lines.append((1, text.h1.get_text(), text["id"]))
            lines += [(2, head.get_text(), head.parent["id"]) for head in text.select("h2")]
    return lines


def listed(lines: list[tuple[int, str, str]]) -> str:
    """The contents as links; NUMBER adds the pages."""
    links = [
        f'<a class="depth{depth}" href="#{name}"><span>{html.escape(words)}</span></a>'
        for depth, words, name in lines
    ]
    return f'<section class="lines"><h1>Contents</h1><nav>{"".join(links)}</nav></section>'


def heads(texts: list[Tag]) -> str:
    """The name of a chapter above each of its pages: a kind of page for each chapter."""
    return "".join(
        f'article[id="{text["id"]}"] {{ page: c{number}; }}'
        f" @page c{number} {{ @top-left {{ content: {quoted(text.h1.get_text())}; }} }}\n"
        for number, text in enumerate(texts)
    )


def quoted(words: str) -> str:
    """A string of CSS."""
    return '"' + words.replace("\\", r"\\").replace('"', r"\"") + '"'


def document(site: Path) -> tuple[str, list[tuple[int, str, str]]]:
    """The whole book as one page of HTML, to be read in the website's folder; and its contents."""
    home = read(site, "index.html")
    order = parts(home)
    pages = ["index.html", *(page for part in order.values() for page in part)]
    about = article(site, "index.html", pages)
    about.select_one('[id="index.html:the-book"]').decompose()  # the contents say it
    about.h1.string = "About this book"
    book = {part: [article(site, page, pages) for page in order[part]] for part in order}
    texts = [about, *(text for part in book.values() for text in part)]
    lines = [(0, "About this book", "index.html"), *contents(book)]
    for part in book:
        book[part][0].insert(0, BeautifulSoup(f'<p class="part">{part}</p>', "html.parser"))
    head = read(site, pages[1]).head  # a page with maths
    loaded = head.select("link[rel=stylesheet]")
    loaded += [tag for tag in head.select("script") if "MathJax" in str(tag)]
    return (
        f"""<!DOCTYPE html><html lang="en" data-theme="light"><head><meta charset="utf-8">
<title>{home.h1.get_text()}</title>{BY_HAND}{"".join(map(str, loaded))}<style>{heads(texts)}</style>
</head><body class="book">{title_page()}{listed(lines)}{"".join(map(str, texts))}</body></html>""",
        lines,
    )


def places(pdf) -> dict:
    """Name of a place that a link leads to -> where it is: its page first."""
    return {unquote(name.removeprefix("/")): place for name, place in pdf.Root.Dests.items()}


def print_twice(file: Path) -> bytes:
    """A file of HTML as PDF, its contents with the numbers of pages that the first print told."""
    import pikepdf
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = launch(playwright)
        page = browser.new_page(color_scheme="light")
        page.set_default_timeout(0)
        page.goto(file.resolve().as_uri())
        page.evaluate(DRAW)
        options = {"prefer_css_page_size": True, "tagged": True}
        first = pikepdf.open(io.BytesIO(page.pdf(**options)))
        order = {sheet.objgen: number + 1 for number, sheet in enumerate(first.pages)}
        numbers = {name: order[place[0].objgen] for name, place in places(first).items()}
        page.evaluate(NUMBER, numbers)
        printed = page.pdf(**options)
        browser.close()
    return printed


def write(site: Path, out: Path) -> None:
    """Print the website that lies in `site` as the PDF `out`, with bookmarks.

    They are made here, since Chromium's own repeat or glue words of headings on two lines.
    """
    import pikepdf

    text, lines = document(site)
    file = site / "whole_book.html"
    file.write_text(text, encoding="utf-8")
    printed = print_twice(file)
    file.unlink()
    with pikepdf.open(io.BytesIO(printed)) as pdf:
        found = places(pdf)
        with pdf.open_outline() as outline:
            above = [outline.root]
            for depth, words, name in lines:
                mark = pikepdf.OutlineItem(words, found[name])
                mark.is_closed = True
                del above[depth + 1 :]
                above[depth].append(mark)
                above.append(mark.children)
        pdf.Root.PageMode = pikepdf.Name.UseOutlines
        pdf.save(out, object_stream_mode=pikepdf.ObjectStreamMode.generate)
    print(f"the book: {out}, {out.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    write(*map(Path, sys.argv[1:]))
