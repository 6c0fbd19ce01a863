"""`dpo book`: the notebooks, written to a folder."""

from pathlib import Path


def add_commands(add) -> None:
    """The one, by `add(name, run, short, long)`, which returns the command's parser."""
    command = add("book", book_command, "write the book's notebooks to a folder")
    command.add_argument("folder", type=Path, help="a new folder, or one without the book's files")
    command.add_argument(
        "--student", action="store_true", help="without solutions; the key cells are blanks"
    )


def book_command(options) -> int:
    from ..lab import editions

    written = editions.write(options.folder, options.student)
    chapters = sum(path.suffix == ".ipynb" for path in written)
    print(f"{chapters} notebooks in {options.folder}; begin with 00: jupyter lab {options.folder}")
    return 0
