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
import numpy as np
from IPython.display import display
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from .. import world
from ..data import read_rows, write_rows

WIDGET = "application/vnd.jupyter.widget-view+json"
FRAME_DPI = 180  # shown at half of its pixels: sharp on a phone and in print


def show(widget: w.Widget, twin: dict[str, str], about: dict | None = None) -> None:
    """Display a widget where there is a kernel, and its static twin where there is none.

    The twin maps MIME types to data, `about` to what a front end should know of them.
    """
    # as ipywidgets 7 and 8 both read it
    view = {"version_major": 2, "version_minor": 0, "model_id": widget.model_id}
    display({WIDGET: view} | twin, metadata=about or {}, raw=True)


def pixels(figure, dpi: float = FRAME_DPI) -> np.ndarray:
    """A figure as it is drawn, (height, width, 3); the figure is closed."""
    figure.set_dpi(dpi)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    plt.close(figure)
    return np.asarray(canvas.buffer_rgba())[..., :3]


def png(picture: np.ndarray) -> bytes:
    """Pixels as PNG, with at most 64 colours: a drawing needs no more."""
    buffer = io.BytesIO()
    Image.fromarray(picture).quantize(64).save(buffer, format="png", optimize=True)
    return buffer.getvalue()


def side_by_side(pictures: list[np.ndarray], columns: int) -> np.ndarray:
    """Pictures of one size as one, row by row; white where the last row has none."""
    rest = -len(pictures) % columns
    pictures = [*pictures, *[np.full_like(pictures[0], 255)] * rest]
    rows = [pictures[i : i + columns] for i in range(0, len(pictures), columns)]
    return np.vstack([np.hstack(row) for row in rows])


def slider(frames: dict[str, bytes], label: str, start: str | None = None) -> w.VBox:
    """A slider over PNG pictures; `frames` maps what stands on the slider to the picture."""
    names = list(frames)
    choice = w.SelectionSlider(
        options=names, value=start or names[0], description=label, layout=w.Layout(width="70%")
    )
    own_size = w.Layout(max_width="100%", object_fit="contain", align_self="flex-start")
    image = w.Image(value=frames[choice.value], format="png", layout=own_size)
    choice.observe(lambda change: image.set_trait("value", frames[change["new"]]), names="value")
    return w.VBox([choice, image])


def show_slider(frames: dict, label: str, start: str | None = None, columns: int = 2) -> None:
    """Display a slider over figures of one size; they are closed.

    frames: what stands on the slider -> figure. All figures side by side, in so many `columns`, are
    one PNG, the static twin. The output's metadata says where each frame lies in it, so that the
    website can show them one by one without a kernel (website/_static/slider.js).
    """
    pictures = {name: pixels(figure) for name, figure in frames.items()}
    twin = side_by_side(list(pictures.values()), columns)
    told = {"label": label, "frames": list(frames), "columns": columns}
    about = {"width": twin.shape[1] // 2, "slider": told | {"start": start or next(iter(frames))}}
    show(
        slider({name: png(picture) for name, picture in pictures.items()}, label, start),
        {
            "image/png": base64.b64encode(png(twin)).decode(),
            "text/plain": f"a slider over {label}: {', '.join(frames)}",
        },
        {"image/png": about},
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

    def records(self) -> list[dict]:
        """What is saved: a pair record for each click."""
        return list(self.answers.values())

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
            write_rows(self.file, self.records())
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
        left = 'align="left" style="text-align: left"'  # JupyterLab heeds only the second
        body = "".join(
            "<tr>" + "".join(f'<td valign="top" {left}>{cell}</td>' for cell in row) + "</tr>"
            for row in cells
        )
        head = "".join(f"<th {left}>{name}</th>" for name in ("prompt", "chosen", "rejected"))
        return f"<table><tr>{head}</tr>{body}</table>"
