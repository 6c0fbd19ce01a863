"""`dpo grade` and `dpo labels`: marks for handed-in notebooks, and a class's own labels."""

from pathlib import Path

WARNING = """Run the checks of this package on handed-in notebooks, and write a row a student.

This runs the students' code on your machine, with your rights: take a machine, a container or an
account without anything that you would miss. Each notebook has a process, an empty folder and ten
minutes; stored outputs are not looked at. Where the folder has folders, each is a student."""
LABELS = """The labels of a class: 30 pairs, the same for everybody.

sheet writes a page to print, for a room where some have no laptop. merge puts together the files
labels_NAME.jsonl that the workshop's notebook saves, and text files with a line a person:
"ada: ABBAB ABABA ...", 30 letters in the order of the sheet, - where there is none."""


def add_commands(add) -> None:
    """The two, by `add(name, run, short, long)`, which returns the command's parser."""
    grading = add("grade", grade_command, "marks for handed-in notebooks: runs them", WARNING)
    grading.add_argument("folder", type=Path, help="what was handed in: notebooks, or folders")
    grading.add_argument(
        "--out", type=Path, default="marks.csv", help="a new file (default: marks.csv)"
    )
    labels = add("labels", labels_command, "a class's own labels, put together", LABELS)
    labels.add_argument(
        "action", choices=("merge", "sheet"), metavar="action", help="merge or sheet"
    )
    labels.add_argument("files", nargs="*", type=Path, help="what merge reads")
    labels.add_argument(
        "--out", type=Path, help="a new file (default: class.jsonl, or for sheet sheet.html)"
    )


def grade_command(options) -> int:
    import csv

    from ..lab import grading

    students = grading.handed_in(options.folder)
    _new(options.out)
    print(f"{len(students)} students; their code runs on this machine", flush=True)
    with options.out.open("w", encoding="utf-8-sig", newline="") as file:  # as spreadsheets read it
        rows = csv.writer(file)
        rows.writerow(grading.HEAD)
        for mark in grading.grade(options.folder):
            rows.writerow(mark.row())
            file.flush()
            told = [f"{mark.student}: {len(mark.right)} of {len(mark.asked)} right", *mark.remarks]
            print("; ".join(told), flush=True)
    print(options.out)
    return 0


def labels_command(options) -> int:
    from ..lab import class_report, classroom

    if options.action == "sheet":
        out = options.out or Path("sheet.html")
        _new(out)
        out.write_text(class_report.sheet(), encoding="utf-8")
        print(out)
        return 0
    if not options.files:
        raise ValueError("merge needs files: labels_NAME.jsonl, or text files with letters")
    out = options.out or Path("class.jsonl")
    _new(out)
    merged = classroom.merge(options.files)
    print(*merged.remarks, sep="\n" if merged.remarks else "")
    if not merged.rows:
        raise ValueError("no file has a label that can be used")
    merged.write(out)
    print(f"{len(merged.rows)} labels of {len(merged.people)} people in {out}")
    return int(merged.left_out > 0)


def _new(path: Path) -> None:
    if path.exists():
        raise ValueError(f"{path} is there already: name a new file with --out")
