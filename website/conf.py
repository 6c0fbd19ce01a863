"""The website, built by `make book` from the notebooks' stored outputs.

No notebook is executed, and nothing comes from another host.
"""

import html
import json
import re
import sys
from importlib.util import find_spec
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import api
import front

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
REPOSITORY = "https://github.com/dpo-from-scratch/dpo-from-scratch"
PLAY = Path(__file__).parent / "play"
CHAPTERS = {path.name[:2]: path.name for path in sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))}

project = html_title = "DPO from Scratch"
author = "The DPO from Scratch authors"
language = "en"
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.mathjax", "sphinx_copybutton"]
exclude_patterns = ["_build", "runs", "**.ipynb_checkpoints"]

nb_execution_mode = "off"
nb_merge_streams = True
nb_ipywidgets_js = {}  # the default loads scripts of other hosts; each widget has a static twin
nb_code_prompt_show = "Show the solution"  # nothing else is folded
nb_code_prompt_hide = "Hide the solution"
myst_enable_extensions = ["dollarmath", "amsmath"]
myst_heading_anchors = 3

# the API page (see api.py): each name has a heading, types stay words
add_module_names = False
toc_object_entries = False
autodoc_preserve_defaults = True
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
nitpick_ignore_regex = [("py:.*", r"(?!dpo_from_scratch\.).*")]

# MathJax 2 with its fonts, from a Python package. MyST's own settings are for later versions, so
# say the same in the old words.
mathjax_path = "mathjax/MathJax.js?config=TeX-AMS-MML_HTMLorMML-full"
mathjax2_config = {
    "tex2jax": {"ignoreClass": "tex2jax_ignore", "processClass": "math"},
    "HTML-CSS": {"preferredFont": None, "availableFonts": [], "webFont": "STIX-Web"},
    "showMathMenu": False,
    "messageStyle": "none",
}
myst_update_mathjax = False

html_theme = "sphinx_book_theme"
templates_path = ["_templates"]
html_static_path = ["_static"]
html_css_files = ["book.css", ("print.css", {"media": "print"})]
html_js_files = ["slider.js", "regions.js"]
html_favicon = "_static/favicon.svg"
html_permalinks_icon = "¶"
copybutton_selector = "div.cell_input pre, div.highlight-text pre"  # code, not what it printed
html_show_copyright = False
html_theme_options = {
    "repository_url": REPOSITORY,
    "repository_branch": "main",
    "path_to_docs": "notebooks",
    "use_repository_button": True,
    "use_edit_page_button": True,
    "use_issues_button": True,
    "launch_buttons": {"colab_url": "https://colab.research.google.com"},
    "extra_footer": "Code under the Apache License 2.0, text under CC BY 4.0.",
}


def link_chapters(text):
    """[04] becomes a link to chapter 04 if there is one, else plain 04."""

    def link(found):
        number = found[1]
        return f"[{number}]({CHAPTERS[number]})" if number in CHAPTERS else number

    return re.sub(r"\[(\d\d)\](?!\()", link, text)


def prepare_markdown(text):
    """No remote pictures, links to files outside the book as addresses."""
    text = re.sub(r"\[!\[Open in Colab\]\(.*?\)\]", "[Open in Colab]", text)  # the badge
    return text.replace("](../", f"]({REPOSITORY}/blob/main/")


def frames(cell):
    """A slider's picture, its frames side by side, as what website/_static/slider.js moves."""
    for output in cell.get("outputs", []):
        told = output.get("metadata", {}).get("image/png", {}).get("slider")
        if told:
            encoded = "".join(output["data"]["image/png"]).strip()
            words = html.escape(json.dumps(told["frames"]))
            output["data"] = {
                "text/html": f'<figure class="frames" data-frames="{words}"'
                f' data-columns="{told["columns"]}" data-label="{html.escape(told["label"])}"'
                f' data-start="{html.escape(told["start"])}">'
                f'<img alt="{html.escape(cell["metadata"]["alt"])}"'
                f' src="data:image/png;base64,{encoded}"></figure>'
            }


def prepare_notebook(name, text):
    """What the website needs and a stored notebook doesn't say: a chapter's number, folded
    solutions, alt texts where MyST looks.
    """
    book = json.loads(text)
    for cell in book["cells"]:
        meta = cell["metadata"]
        if cell["cell_type"] == "markdown":
            cell["source"] = prepare_markdown("".join(cell["source"]))
        if "solution" in meta.get("tags", []):
            meta["tags"].append("hide-cell")
        if "alt" in meta:
            meta["mystnb"] = {"image": {"alt": meta["alt"]}}
        frames(cell)
    first = book["cells"][0]
    if f"{name}.ipynb" in CHAPTERS.values():
        first["source"] = first["source"].replace("# ", f"# {name[:2]}. ", 1)
    return json.dumps(book)


def prepare(app, name, source):
    """Sphinx has read a page: notebooks and other pages each need their own care."""
    if (NOTEBOOKS / f"{name}.ipynb").exists():
        source[0] = prepare_notebook(name, source[0])
    else:
        if api.MARK.search(source[0]):
            app.env.note_reread()  # its docstrings may have changed, and the page has not
        source[0] = prepare_markdown(api.fill(link_chapters(front.fill(source[0]))))


def finish(app, name, template, context, doctree):
    """What a page is about, for those who list it; an empty head of a table is no head; the
    playground's pages are those of this copy of the website.
    """
    words = html.escape(front.description(name))
    context["metatags"] = (
        f'{context.get("metatags", "")}<meta name="description" content="{words}">'
    )
    if "body" in context:
        body = re.sub(r"<th[^>]*>(<p></p>)?</th>", "<td></td>", context["body"])
        context["body"] = body.replace(f"{front.SITE}play/", "../" * name.count("/") + "play/")


def copy_playground(folder):
    """The playground's pages, whose links lead to the chapters beside them."""
    folder.mkdir(exist_ok=True)
    for file in PLAY.iterdir():
        if file.suffix in (".html", ".js", ".css", ".svg"):
            text = file.read_text(encoding="utf-8").replace(front.SITE, "../")
            (folder / file.name).write_text(text, encoding="utf-8")


def put_beside(app, error):
    """Put beside the pages what they load, MathJax; the playground; and llms.txt."""
    from sphinx.util.fileutil import copy_asset

    if not error:
        package = Path(find_spec("jupyter_server_mathjax").origin).parent
        copy_asset(package / "static", app.outdir / "_static" / "mathjax")
        copy_playground(Path(app.outdir) / "play")
        front.write_llms(app.outdir, app.config.html_baseurl)


def setup(app):
    """What Sphinx calls first."""
    app.connect("source-read", prepare)
    app.connect("autodoc-process-docstring", api.read_docstring)
    app.connect("autodoc-process-signature", api.read_signature)
    app.connect("object-description-transform", api.keep_quotes)
    app.connect("html-page-context", finish)
    app.connect("build-finished", put_beside)
