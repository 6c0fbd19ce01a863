"""What readers click: a page for labelling pairs, and a slider over prepared pictures.

Every widget has a static twin in the same output: a front end without a kernel (GitHub, the
website) shows that instead. A callback changes other widgets and never prints, so nothing leaks
into a cell when a notebook is tested.
"""

import base64
import html
import io
import random
from pathlib import Path

import ipywidgets as w
import matplotlib.pyplot as plt
from IPython.display import display

from .. import world
from ..data import read_rows, write_rows

WIDGET = "application/vnd.jupyter.widget-view+json"


def show(widget: w.Widget, twin: dict[str, str]) -> None:
    """Display a widget where there is a kernel, and its static twin where there is none.

    The twin maps MIME types to data.
    """
    # as ipywidgets 7 and 8 both read it
    view = {"version_major": 2, "version_minor": 0, "model_id": widget.model_id}
    display({WIDGET: view} | twin, raw=True)


def picture(figure) -> bytes:
    """A figure as PNG; the figure is closed."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    plt.close(figure)
    return buffer.getvalue()


def slider(frames: dict[str, bytes], label: str, start: str | None = None) -> w.VBox:
    """A slider over PNG pictures; `frames` maps what stands on the slider to the picture."""
    names = list(frames)
    choice = w.SelectionSlider(
        options=names, value=start or names[0], description=label, layout=w.Layout(width="70%")
    )
    image = w.Image(value=frames[choice.value], format="png")
    choice.observe(lambda change: image.set_trait("value", frames[change["new"]]), names="value")
    return w.VBox([choice, image])


def show_slider(frames: dict[str, bytes], label: str, twin, start: str | None = None) -> None:
    """Display `slider`, with the figure `twin`, all settings side by side, as its static twin."""
    still = base64.b64encode(picture(twin)).decode()
    show(
        slider(frames, label, start),
        {"image/png": still, "text/plain": f"a slider over {label}: {', '.join(frames)}"},
    )


class LabellingPage:
    """Asks for the better of two responses, pair by pair; every click is kept in a file.

    rows: pair records; which response stands on which side, and the order, are shuffled by `seed`,
    so the page does not give away what the records chose. `answers` holds what was clicked: new
    pair records, by row number.
    """

    def __init__(self, rows: list[dict], file: str | Path = "my_labels.jsonl", seed: int = 0):
        rng = random.Random(seed)
        self.rows, self.file, self.answers, self._loaded = rows, Path(file), {}, False
        self.order = rng.sample(range(len(rows)), len(rows))
        self.sides = [rng.sample(("chosen", "rejected"), 2) for _ in rows]
        self.question, self.status = w.HTML(), w.HTML()
        self.texts = [
            w.HTML(layout=w.Layout(width="50%", padding="8px", border="1px solid #999"))
            for _ in "AB"
        ]
        self.buttons = [
            w.Button(description=f"{name} is better", button_style="primary") for name in "AB"
        ]
        self.back, self.earlier = (
            w.Button(description="Back"),
            w.Button(description="Go on with my earlier labels"),
        )
        for side, button in enumerate(self.buttons):
            button.on_click(lambda _, side=side: self._answer(side))
        self.back.on_click(lambda _: self._back())
        self.earlier.on_click(lambda _: self._load())
        self.earlier.layout = w.Layout(width="auto", display="" if self.file.exists() else "none")
        self.page = w.VBox(
            [
                self.question,
                w.HBox(self.texts),
                w.HBox([*self.buttons, self.back, self.earlier]),
                self.status,
            ]
        )
        self._draw("Nothing is saved before the first click.")

    def show(self) -> None:
        """Display the page; without a kernel, the pairs with the choices of `rows`."""
        show(
            self.page,
            {
                "text/html": self._table(),
                "text/plain": f"a page for labelling {len(self.rows)} pairs",
            },
        )

    def labels(self) -> tuple[list[dict], str]:
        """(pair records, who chose): the reader's if all are labelled, else the page's rows."""
        if len(self.answers) == len(self.rows):
            return [self.answers[i] for i in range(len(self.rows))], "you"
        return self.rows, "the shipped file"

    def _draw(self, message: str = "") -> None:
        done, finished = len(self.answers), len(self.answers) == len(self.rows)
        if not finished:
            row, sides = self.rows[self.order[done]], self.sides[self.order[done]]
            self.question.value = (
                f"<b>{done + 1} of {len(self.rows)}. {html.escape(world.pretty(row['prompt']))}</b>"
            )
            for name, text, side in zip("AB", self.texts, sides, strict=True):
                text.value = f"<b>{name}</b><br>{html.escape(world.pretty(row[side]))}"
        else:
            self.question.value = (
                f"<b>All {len(self.rows)} pairs are labelled.</b> Run the cells below."
            )
        for button in self.buttons:
            button.disabled = finished
        self.back.disabled = not done
        self.status.value = html.escape(message)

    def _answer(self, side: int) -> None:
        if not self.answers and not self._loaded:  # never over somebody's earlier labels
            first, n = self.file, 1
            while self.file.exists():
                n += 1
                self.file = first.with_stem(f"{first.stem}_{n}")
        self._loaded = True
        number = self.order[len(self.answers)]
        row, sides = self.rows[number], self.sides[number]
        self.answers[number] = {
            "prompt": row["prompt"],
            "chosen": row[sides[side]],
            "rejected": row[sides[1 - side]],
        }
        self._draw(self._save())

    def _back(self) -> None:
        del self.answers[self.order[len(self.answers) - 1]]
        self._draw(self._save())

    def _save(self) -> str:
        try:
            write_rows(self.file, list(self.answers.values()))
        except OSError as error:
            kept = "your labels are kept as long as this notebook runs."
            return f"{self.file} can't be written ({error.strerror}): {kept}"
        return f"{len(self.answers)} saved in {self.file}"

    def _load(self) -> None:
        """Take the answers of the file as far as they belong to these pairs in this order."""
        try:
            found = read_rows(self.file)[0]
        except (OSError, ValueError) as error:
            return self._draw(str(error))
        self.answers, self._loaded = {}, True
        for number, answer in zip(self.order, found, strict=False):
            row = self.rows[number]
            if answer["prompt"] != row["prompt"] or {answer["chosen"], answer["rejected"]} != {
                row["chosen"],
                row["rejected"],
            }:
                break
            self.answers[number] = {key: answer[key] for key in ("prompt", "chosen", "rejected")}
        return self._draw(f"{len(self.answers)} labels read from {self.file}")

    def _table(self) -> str:
        cells = [
            [html.escape(world.pretty(row[key])) for key in ("prompt", "chosen", "rejected")]
            for row in self.rows
        ]
        body = "".join(
            "<tr>" + "".join(f'<td valign="top" align="left">{cell}</td>' for cell in row) + "</tr>"
            for row in cells
        )
        return f"<table><tr><th>prompt</th><th>chosen</th><th>rejected</th></tr>{body}</table>"
