"""`dpo train`: train on a file of rows."""

import json
import sys
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from .course import picture, table
from .options import (
    add_run_options,
    add_train_options,
    load_reference,
    name_of,
    run_folder,
    train_config,
)


def add_commands(add) -> None:
    """`train`, by `add(name, run, short, long)`, which returns the command's parser."""
    training = add(
        "train",
        train_command,
        "train on pairs (thumbs: kto, bco; texts: sft)",
        "train a model on preference pairs (thumbs: --loss kto or bco; texts: --loss sft)",
    )
    training.add_argument(
        "--data",
        required=True,
        help="JSON Lines (.gz too): prompt, chosen, rejected, or HH-RLHF transcripts",
    )
    training.add_argument(
        "--reference", help="another reference model (default: the model as it starts)"
    )
    training.add_argument(
        "--dry-run", action="store_true", help="print what memory the run needs, and do not train"
    )
    training.add_argument(
        "--force", action="store_true", help="train though the machine has too little memory"
    )
    add_run_options(training)
    add_train_options(training)


def train_command(options) -> None:
    from ..data import kind_of, read_rows
    from ..losses import LOSSES
    from ..models import load_model
    from ..processes.group import here
    from ..training import train

    config = train_config(options)
    print(f"options: {config}")
    kind = LOSSES[config.loss].needs
    if kind == "labels" and kind_of(options.data) == "pairs":
        print(f"{options.data} holds pairs: each becomes a liked and a disliked response")
        kind = "pairs"
    rows, report = read_rows(options.data, kind, config.skip_bad)
    print(report)
    model, tokenizer = load_model(options.model)
    reference = load_reference(options.reference, tokenizer) if options.reference else None
    if options.dry_run:
        return print(memory_table(model, tokenizer, rows, config, reference))
    name, first = f"{name_of(options.model)}-{config.loss}", here().first
    folder = here().from_first(lambda: run_folder(options, name, config.resolved()))
    findings = None
    try:
        if kind == "pairs" == LOSSES[config.loss].needs and first and not options.resume:
            findings = examine(model, reference, tokenizer, rows, config)
        how = {name: getattr(options, name) for name in ("resume", "overwrite", "force")}
        history = train(model, tokenizer, rows, config, folder, reference, **how)
    finally:
        if options.out is None:
            with suppress(OSError):
                folder.rmdir()  # only where nothing was written
    if findings is not None:
        told = json.dumps([asdict(f) for f in findings], indent=1) + "\n"
        (folder / "doctor.json").write_text(told, encoding="utf-8")
    tell(history, config, folder)


def memory_table(model, tokenizer, rows: list[dict], config, reference):
    """What the run would need, and what there is."""
    from ..models import device_of
    from ..training.batches import prepare
    from ..training.machine import memory_of
    from ..training.memory import gigabytes, memory_needed

    need = memory_needed(model, prepare(tokenizer, rows, config, model), config, reference)
    total, free = memory_of(device_of(model))
    there = f"; this machine has {gigabytes(total)}, {gigabytes(free)} free" if total else ""
    return f"{need}\n{gigabytes(need.total)} at the worst moment, {need.worst}{there}"


def tell(history: list[dict], config, folder: Path) -> None:
    """How the run went, and where it is; who sits at a terminal gets a picture too."""
    print(*table(history, config), sep="\n")
    if sys.stdout.isatty():
        print(picture(history, config, folder))
    print(f"the run: {folder}   model: {folder / 'model'}   metrics: {folder / 'metrics.jsonl'}")


def examine(model, reference, tokenizer, rows: list[dict], config) -> list | None:
    """What the doctor finds before the first step, printed; None where fewer than two pairs fit."""
    from ..data import DataError
    from ..doctor import check_ours
    from ..models import frozen_copy

    with suppress(DataError):  # train says so, or trains on the one
        theirs = frozen_copy(model) if reference is None else reference
        findings = check_ours(model, theirs, tokenizer, rows, config)
        print(*findings, sep="\n", end="\n" if findings else "")
        return findings
    return None
