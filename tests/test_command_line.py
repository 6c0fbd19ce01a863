"""The command line as people expect it: quick help that is true, one sentence for any error."""

import builtins
import io
import json
import os
import re
import shlex
import subprocess
import sys
from contextlib import suppress
from dataclasses import fields
from pathlib import Path

import pytest
from tqdm.auto import tqdm

from dpo_from_scratch import __version__, cli, world
from dpo_from_scratch.cli import course, defaults
from dpo_from_scratch.cli.options import train_config
from dpo_from_scratch.data import write_rows
from dpo_from_scratch.doctor import check_file
from dpo_from_scratch.losses import LOSSES
from dpo_from_scratch.training import PRESETS, TrainConfig
from dpo_from_scratch.training.presets import FEEDBACK
from dpo_from_scratch.training.settings import beta_of

COMMANDS = ["train", "iterate", "feedback", "sample", "score", "check-data", "doctor"]
COMMANDS += ["fetch-human-ratings", "book", "grade", "labels"]
ROOT = Path(__file__).parent.parent
SHOWN = [  # what README, CONTRIBUTING and the website's pages tell a reader to type
    line.strip().partition("dpo ")[2]
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("notebooks/*.md"))]
    for line in path.read_text(encoding="utf-8").splitlines()
    if re.match(r" *(\.venv/bin/)?dpo [a-z-]", line)
]
AT_ONCE = """
import io, sys
from contextlib import redirect_stderr, redirect_stdout
from dpo_from_scratch import cli
for words in (["--help"], ["train", "--help"], ["feedback", "--help"], ["--version"],
              ["--print-completion", "bash"], ["trian"], ["train", "--data", "x", "--bta", "1"]):
    told = io.StringIO()
    try:
        with redirect_stdout(told), redirect_stderr(told):
            cli.main(words)
    except SystemExit:
        pass
    assert told.getvalue(), words
    heavy = {"torch", "transformers", "matplotlib", "scipy", "numpy"} & set(sys.modules)
    assert not heavy, (words, heavy)
"""


def told(capsys, *words: str) -> tuple[int, str, str]:
    """(exit status, stdout, stderr) of a command."""
    try:
        status = cli.main(list(words))
    except SystemExit as end:
        status = end.code
    printed = capsys.readouterr()
    return status, printed.out, printed.err


# ---------------------------------------------------------------- help, version, completion
def test_help_and_mistakes_load_nothing_heavy():
    subprocess.run([sys.executable, "-c", AT_ONCE], check=True)


def test_every_command_has_one_line_in_the_help(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    lines = told(capsys, "--help")[1].splitlines()
    listed = lines[lines.index("  COMMAND") + 1 :]
    assert [line.split()[0] for line in listed] == COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_s_help_tells_every_default_and_debug(command, capsys):
    text = " ".join(told(capsys, command, "--help")[1].split())
    assert "--debug" in text
    assert "None" not in text
    for action in cli.make_parser().commands.choices[command]._actions:
        if action.default not in (None, False, "==SUPPRESS=="):
            assert "default" in action.help, action.dest
            assert f"{action.default}".removesuffix(".0") in action.help, action.dest


def told_in(text: str, name: str) -> str:
    """What "tiny 256, tiny-sft 12000" says of a name."""
    return re.search(rf"(?<![\w-]){re.escape(name)} ([^\s,()]+)", text)[1]


@pytest.mark.parametrize("command", ["train", "feedback"])
@pytest.mark.parametrize("preset", PRESETS)
def test_the_default_in_the_help_is_the_one_in_force(command, preset):
    needed = {"train": ["--data", "x"], "feedback": ["--out", "x"]}[command]
    own = FEEDBACK if command == "feedback" else {}
    options = cli.make_parser().parse_args([command, *needed, "--preset", preset])
    config = train_config(options, own)
    for f in [f for f in fields(TrainConfig) if f.name != "beta"]:
        words = defaults.in_force(f, own)
        found = told_in(words, preset) if f"{preset} " in words else words.split()[-1]
        value = getattr(config, f.name)
        if isinstance(value, bool):
            assert found == ("on" if value else "off"), f.name
        elif isinstance(value, str):
            assert found == (value or "none"), f.name
        else:
            assert float(found) == value, f.name
    plain = train_config(cli.make_parser().parse_args([command, *needed]), own)
    for name in own:
        words = defaults.in_force(TrainConfig.__dataclass_fields__[name], own)
        assert float(re.match(r"default: (\S+);", words)[1]) == getattr(plain, name)


@pytest.mark.parametrize("preset", PRESETS)
def test_the_betas_in_the_help_are_those_in_force(preset):
    same, rest = defaults._betas().split("; for every other loss, by preset: ")
    usual, others = re.search(rf"(?:^|, ){preset} ([\d.]+)(?: \(([^)]*)\))?", rest).groups()
    own = dict(part.split() for part in same.split(", "))
    own |= dict(part.split() for part in (others or "").split(", ") if part)
    for loss in LOSSES:
        whole = {"loss": loss, "accumulation": 1}  # as aot wants it
        found = TrainConfig(**PRESETS[preset] | whole).beta
        assert float(own.get(loss, usual)) == found, loss


def test_the_light_table_of_losses_is_the_registry():
    assert {name: beta_of(name) for name in LOSSES} == defaults.LOSS_BETAS
    assert list(defaults.LOSS_BETAS) == list(LOSSES)


@pytest.mark.parametrize("line", SHOWN)
def test_a_command_that_a_text_shows_can_be_typed(line):
    assert cli.make_parser().parse_args(shlex.split(line, comments=True)).command == line.split()[0]


def test_texts_show_most_commands():
    assert {line.split()[0] for line in SHOWN} >= {*COMMANDS} - {"fetch-human-ratings", "book"}


def test_version_and_completion(capsys, monkeypatch):
    assert told(capsys, "--version")[:2] == (0, f"dpo {__version__}\n")
    monkeypatch.setitem(sys.modules, "shtab", None)
    status, _, error = told(capsys, "--print-completion", "zsh")
    assert (status, error) == (2, "dpo: completion needs shtab: pip install shtab\n")


def test_completion_knows_commands_options_and_losses(capsys):
    pytest.importorskip("shtab")
    status, text, _ = told(capsys, "--print-completion", "bash")
    assert status == 0
    assert all(word in text for word in ("check-data", "--learning-rate", "length_normalized_dpo"))
    assert re.search(r"_train___data_COMPGEN=_shtab_compgen_files", text)


# ---------------------------------------------------------------- errors
@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("trian", "invalid choice: 'trian'"),
        ("train --data x --bta 1", "unrecognized arguments: --bta 1; --beta is meant?"),
        ("train --data x --loss dpx", "loss is one of dpo, cdpo, "),
        ("sample --n 0", "from 1 to twelve digits, not 0"),
        ("sample --temperature nan", "a finite number, 0 or more, not nan"),
        ("sample --seed 1" + 20 * "0", "from 0 to twelve digits"),
        ("score --model tiny --data x --beta inf", "a finite number"),
        ("check-data x --max-length -1", "from 0 to twelve digits"),
        ("check-data", "required: data"),
    ],
)
def test_a_typing_error_is_one_line(words, message, capsys):
    status, out, error = told(capsys, *words.split())
    assert (status, out, error.count("\n")) == (2, "", 1)
    assert message in error


FAILURES = [
    (KeyError("step"), "KeyError: 'step' (--debug shows where)"),
    (RuntimeError("two\nlines"), "RuntimeError: two lines (--debug shows where)"),
    (MemoryError(), "MemoryError: no more is known (--debug shows where)"),
    (ImportError("No module named 'x.y'", name="x.y"), "x is needed and can't be imported"),
    (PermissionError(13, "Permission denied", "a/b"), "a/b: Permission denied"),
    (OSError(28, "No space left on device"), "No space left on device"),
    (json.JSONDecodeError("Expecting value", "{", 1), "Expecting value"),
    (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"), "invalid start byte"),
]


@pytest.mark.parametrize(("error", "message"), FAILURES, ids=lambda x: type(x).__name__)
def test_whatever_happens_is_one_sentence_and_debug_tells_all(error, message, capsys, monkeypatch):
    def fail(options):
        raise error

    monkeypatch.setattr(cli.book, "book_command", fail)
    status, _, said = told(capsys, "book", "x")
    assert (status, said.count("\n")) == (2, 1)
    assert said.startswith("dpo book: ")
    assert message in said
    with pytest.raises(type(error)):
        cli.main(["book", "x", "--debug"])


@pytest.mark.parametrize("error", [ValueError("why"), KeyboardInterrupt("why")])
def test_the_sentence_stands_in_a_line_of_its_own_behind_a_bar(error, capsys, monkeypatch):
    def fail(options):
        for _ in tqdm(range(3), leave=False):
            raise error

    monkeypatch.setattr(cli.book, "book_command", fail)
    assert told(capsys, "book", "x")[2].split("\r")[-1].startswith("dpo book: ")


def test_a_missing_extra_is_named(tmp_path, capsys, monkeypatch):
    (tmp_path / "a.parquet").write_bytes(b"PAR1....")
    real = builtins.__import__

    def without(name, *rest):
        if name.partition(".")[0] == "pyarrow":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    status, _, said = told(capsys, "check-data", str(tmp_path / "a.parquet"))
    assert (status, said.count("\n")) == (2, 1)
    assert "pyarrow" in said


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_a_terminal_without_beta_gets_the_rest(encoding, tmp_path, monkeypatch):
    bad = {"prompt": "a", "chosen": "β", "rejected": "β", "β ±": 1}
    write_rows(tmp_path / "β.jsonl", [bad])
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", stream)
    assert cli.main(["check-data", str(tmp_path / "β.jsonl")]) == 1
    stream.seek(0)
    assert "0 rows used, 1 left out" in stream.read()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_a_full_disk_and_a_closed_pipe_end_without_a_traceback(tmp_path, capsys, monkeypatch):
    write_rows(tmp_path / "pairs.jsonl", world.make_pairs(3))
    words = ["check-data", str(tmp_path / "pairs.jsonl")]
    with open("/dev/full", "w", encoding="utf-8") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert cli.main(words) == 2
    assert capsys.readouterr().err == "dpo check-data: No space left on device\n"
    reader, writer = os.pipe()
    os.close(reader)
    with suppress(BrokenPipeError), open(writer, "w", encoding="utf-8") as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        assert cli.main(words) == 141
    assert capsys.readouterr().err == ""


# ---------------------------------------------------------------- what commands end with
def history(steps: int) -> list[dict]:
    row = {"loss": 0.7, "accuracy": 0.5, "chosen_reward": 0.1, "rejected_reward": -0.3}
    return [row | {"step": i + 1, "margin": 0.1 * (i + 1)} for i in range(steps)]


def test_the_table_shows_the_first_and_the_last_tenth():
    config = TrainConfig(loss="dpo", beta=0.5)
    head, *rows = course.table(history(25), config)
    assert re.split(r"\s{2,}", head.strip()) == ["steps 1 to 2", "steps 24 to 25"]
    found = {row.rsplit(maxsplit=2)[0]: row.split()[-2:] for row in rows}
    assert found["margin"] == ["0.15", "2.45"]
    assert found["chosen log-ratio"] == ["0.2", "0.2"]  # reward / beta
    assert found["rejected log-ratio"] == ["-0.6", "-0.6"]
    assert list(found)[:3] == ["loss", "accuracy", "margin"]
    assert course.table(history(1), config)[0].split() == ["step", "1"]
    texts = [{"step": 1, "loss": 2.0, "logp": -40.0}]
    told = course.table(texts, TrainConfig(loss="sft"))
    assert [line.split() for line in told[1:]] == [["loss", "2"], ["log-prob.", "-40"]]


def test_a_picture_only_for_a_terminal(tmp_path, capsys, monkeypatch):
    config = TrainConfig(loss="dpo")
    cli.train.tell(history(12), config, tmp_path)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    cli.train.tell(history(12), config, tmp_path)
    assert str(tmp_path / "curves.png") in capsys.readouterr().out
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert len(list(tmp_path.iterdir())) == 1


def test_score_ends_with_a_summary(tmp_path, capsys):
    write_rows(tmp_path / "pairs.jsonl", world.make_pairs(8))
    words = ["score", "--model", "tiny", "--data", str(tmp_path / "pairs.jsonl")]
    _, out, error = told(capsys, *words)
    rows = [json.loads(line) for line in out.splitlines()]
    margins = [row["chosen_logps"] - row["rejected_logps"] for row in rows]
    found = re.search(r"mean margin (\S+), 95 % interval (\S+) to (\S+)", error.splitlines()[-1])
    mean, low, high = map(float, found.groups())
    assert mean == pytest.approx(sum(margins) / 8, rel=1e-3)
    width = (sum((m - sum(margins) / 8) ** 2 for m in margins) / 7 / 8) ** 0.5
    assert (high - low) / 2 == pytest.approx(2.3646 * width, rel=1e-2)  # t, 7 degrees of freedom
    assert f"in {sum(m > 0 for m in margins) / 8:.3f} (a tie counts one half)" in error


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([1], "mean 1.0, median 1, 95th percentile 1, longest 1"),
        ([1, 2], "mean 1.5, median 1.5, 95th percentile 1.95, longest 2"),
        ([1, 2, 9], "mean 4.0, median 2, 95th percentile 8.3, longest 9"),
    ],
)
def test_percentiles_of_very_small_files(words, expected, tmp_path):
    rows = [{"prompt": "p " * n, "chosen": "a", "rejected": "b"} for n in words]
    write_rows(tmp_path / "rows.jsonl", rows)
    assert f"  prompt     words: {expected}" in str(check_file(tmp_path / "rows.jsonl"))
