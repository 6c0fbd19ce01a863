"""Clicks in JupyterLab, every page of the website, and its PDF, in a headless Chromium.

`make browser` installs what this needs but for Chromium; without one every test fails.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path

import pytest
from conftest import findings

sync_api = pytest.importorskip("playwright.sync_api", reason="make browser installs it")
pytest.importorskip("axe_playwright_python.sync_playwright", reason="and this")
pikepdf = pytest.importorskip("pikepdf", reason="and this")
ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "website"))
pdf = import_module("pdf")
NOTEBOOKS = ROOT / "notebooks"
MINUTE = 60_000  # milliseconds


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """The address of a JupyterLab that serves copies of the chapters alone."""
    folder = tmp_path_factory.mktemp("lab")
    for path in NOTEBOOKS.glob("0[23]_*.ipynb"):
        shutil.copy(path, folder)
    settings = tmp_path_factory.mktemp("settings")
    (settings / "@jupyterlab" / "notebook-extension").mkdir(parents=True)
    tracker = settings / "@jupyterlab" / "notebook-extension" / "tracker.jupyterlab-settings"
    tracker.write_text('{"windowingMode": "none"}')  # draw all cells, not only those in view
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "jupyterlab",
        "--no-browser",
        f"--port={port}",
        "--IdentityProvider.token=open",
    ]
    command += ["--allow-root", f"--LabApp.user_settings_dir={settings}"]
    command += [f"--LabApp.workspaces_dir={tmp_path_factory.mktemp('workspaces')}"]
    server = subprocess.Popen(
        command,
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=dict(os.environ),
    )
    address = f"http://127.0.0.1:{port}"
    for _ in range(60):
        try:
            urllib.request.urlopen(f"{address}/api?token=open", timeout=1)
            break
        except OSError:
            time.sleep(1)
    yield address
    server.terminate()
    server.wait(20)


@pytest.fixture
def page(lab, request):
    """A chapter in JupyterLab, all of its cells run."""
    with sync_api.sync_playwright() as playwright:
        browser = pdf.launch(playwright)
        page = browser.new_page(viewport={"width": 1300, "height": 1000})
        page.goto(f"{lab}/lab/tree/{request.param}.ipynb?reset&token=open", timeout=2 * MINUTE)
        page.locator(".jp-Notebook h1").first.wait_for(timeout=2 * MINUTE)
        page.get_by_text("| Idle").wait_for(timeout=2 * MINUTE)  # the kernel is there
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        yield page
        browser.close()


@pytest.mark.parametrize("page", ["02_learn_from_choices"], indirect=True)
def test_clicking_through_the_labelling_page_makes_the_readers_labels(page):
    button = page.get_by_role("button", name="A is better")
    button.wait_for(timeout=2 * MINUTE)
    question = page.locator(".jp-OutputArea").get_by_text("1 of 20.")
    question.wait_for()
    page.get_by_text("| Idle").wait_for(timeout=5 * MINUTE)  # a click is answered after all cells
    button.click()
    page.get_by_text("2 of 20.").wait_for()
    page.get_by_text("1 saved in my_labels.jsonl").wait_for()
    page.get_by_role("button", name="Back").click()
    page.get_by_text("1 of 20.").wait_for()
    for number in range(20):
        page.get_by_text(f"{number + 1} of 20.").wait_for()
        page.get_by_role("button", name="AB"[number % 2] + " is better").click()
    page.get_by_text("All 20 pairs are labelled.").wait_for()


@pytest.mark.parametrize("page", ["03_solve_the_rlhf_objective"], indirect=True)
def test_moving_the_beta_slider_changes_the_picture(page):
    slider = page.locator(".widget-slider .noUi-handle")
    slider.wait_for(state="attached", timeout=2 * MINUTE)
    page.locator(".widget-slider").scroll_into_view_if_needed()
    picture = page.locator(".widget-image, img.widget-image").first
    before = picture.get_attribute("src")
    assert picture.evaluate("image => image.clientWidth === image.naturalWidth")  # its own size
    assert page.locator(".widget-readout").first.inner_text() == "1.0"
    slider.evaluate("handle => handle.focus()")
    page.keyboard.press("ArrowRight")
    page.locator(".widget-readout").get_by_text("0.6").wait_for()
    for _ in range(50):
        if picture.get_attribute("src") != before:
            break
        time.sleep(0.1)
    assert picture.get_attribute("src") != before


# ---------------------------------------------------------------- the website
TEACHING = [p for kind in ("ipynb", "md") for p in NOTEBOOKS.glob(f"teaching/*.{kind}")]
SOURCES = [*NOTEBOOKS.glob("*.md"), *NOTEBOOKS.glob("*.ipynb"), *TEACHING]
PAGES = sorted(path.relative_to(NOTEBOOKS).with_suffix("").as_posix() for path in SOURCES)
PAGES += ["search", "genindex"]
SETTLED = """() => new Promise(done => {
    const soon = () => setTimeout(done, 1000);
    window.MathJax ? MathJax.Hub.Queue(soon) : soon();
})"""


@pytest.mark.parametrize("name", PAGES)
def test_a_page_loads_whole_from_here_and_is_for_everyone(website, chromium, name):
    """No error, nothing of another host, nothing that axe finds; contrast in the dark too; on a
    phone nothing is wider than the page, and what scrolls can be reached.
    """
    page = chromium.new_page(viewport={"width": 1400, "height": 900}, color_scheme="light")
    page.set_default_timeout(3 * MINUTE)
    wrong = []
    page.on("pageerror", lambda error: wrong.append(error.stack or str(error)))
    page.on(
        "request", lambda r: r.url.startswith(("data:", "about:", website)) or wrong.append(r.url)
    )
    page.on("response", lambda answer: answer.status < 400 or wrong.append(answer.url))
    page.goto(f"{website}/{name}.html")
    page.evaluate(SETTLED)
    assert wrong == []
    assert findings(page) == set()
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    page.wait_for_timeout(1000)  # the theme's colours change slowly
    assert findings(page, runOnly=["color-contrast"]) == set()
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_timeout(1000)
    assert page.evaluate("document.scrollingElement.scrollWidth") <= 390
    assert findings(page, runOnly=["scrollable-region-focusable"]) == set()
    page.close()


def test_the_sections_at_the_side_are_marked_and_the_way_back_to_the_top_shows(website, chromium):
    page = chromium.new_page(viewport={"width": 1400, "height": 900})
    page.set_default_timeout(MINUTE)
    page.goto(f"{website}/07_sweep_beta.html")
    page.evaluate(SETTLED)
    page.evaluate("document.querySelector('#under-the-frontier').scrollIntoView()")
    page.locator(".bd-toc a.active", has_text="Under the frontier").wait_for()
    page.set_viewport_size({"width": 1000, "height": 800})  # the theme has no such button beyond
    page.mouse.move(500, 400)
    page.mouse.wheel(0, 600)
    page.wait_for_timeout(500)
    page.mouse.wheel(0, -100)  # shown to those who scroll back
    page.locator("#pst-back-to-top").click()
    page.wait_for_function("scrollY === 0")
    page.close()


def test_the_book_is_one_pdf_with_every_heading_as_a_bookmark(site, tmp_path):
    out = tmp_path / "book.pdf"
    with ThreadPoolExecutor(1) as aside:  # the other tests' browser holds this thread's loop
        aside.submit(pdf.write, site, out).result()
    assert out.stat().st_size < 20e6
    _, lines = pdf.document(site)
    with pikepdf.open(out) as book, book.open_outline() as outline:
        found, waiting = [], [(0, item) for item in reversed(outline.root)]
        while waiting:
            depth, item = waiting.pop()
            found.append((depth, item.title))
            waiting += [(depth + 1, child) for child in reversed(item.children)]
        assert found == [(depth, words) for depth, words, _ in lines]
        order = [page.objgen for page in book.pages]
        pages = [order.index(pdf.places(book)[name][0].objgen) for _, _, name in lines]
    assert pages == sorted(pages)
    assert pages[0] >= 2  # after the title and the contents


def test_the_cheat_sheet_fills_two_pages_and_is_for_everyone(chromium, tmp_path):
    sheet = (NOTEBOOKS / "teaching" / "sheet.html").as_uri()
    for width in (1400, 390):
        page = chromium.new_page(viewport={"width": width, "height": 900})
        page.goto(sheet)
        assert findings(page) == set()
        assert page.evaluate("document.scrollingElement.scrollWidth") <= width
        page.close()
    page = chromium.new_page()
    page.goto(sheet)
    (tmp_path / "sheet.pdf").write_bytes(page.pdf(prefer_css_page_size=True))
    with pikepdf.open(tmp_path / "sheet.pdf") as printed:
        assert len(printed.pages) == 2
    page.close()


OVER = """() => {
    const slide = Reveal.getCurrentSlide(), seen = element => element.getBoundingClientRect();
    const parts = [...slide.querySelectorAll("p, pre, table, img.figure, .MathJax_Display")];
    return Math.max(...parts.map(part => seen(part).bottom)) - innerHeight;
}"""


@pytest.mark.parametrize("deck", ["part_1", "part_2", "part_3", "part_4"])
def test_every_slide_of_a_deck_fits_and_loads_from_its_folder(slides, chromium, deck):
    page, wrong = chromium.new_page(viewport={"width": 1280, "height": 720}), []
    page.on("request", lambda r: r.url.startswith(("file:", "data:", "about:")) or wrong.append(r))
    page.on("pageerror", lambda error: wrong.append(error.stack or str(error)))
    page.goto((slides / f"{deck}.html").as_uri())
    page.evaluate(SETTLED)
    for number in range(page.evaluate("Reveal.getTotalSlides()")):
        page.wait_for_timeout(100)
        assert page.evaluate(OVER) <= 0, number + 1
        page.evaluate("Reveal.next()")
    assert wrong == []
    page.close()


@pytest.fixture(scope="module")
def slides(tmp_path_factory):
    """The folder of the decks."""
    folder = tmp_path_factory.mktemp("slides")
    import_module("slides").build(folder)
    return folder
