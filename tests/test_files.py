"""`dpo check-data`: every kind of damage is named by file, line and reason; nothing is dropped
in silence.
"""

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dpo_from_scratch import cli
from dpo_from_scratch.data import KEYS, DataError, Report, kind_of, read_rows, scan
from dpo_from_scratch.doctor import check_file
from dpo_from_scratch.world.tiny import review_tokenizer

GOOD = {"prompt": "how was it ?", "chosen": "very good .", "rejected": "rather bad ."}
USER, YES, NO = (
    {"role": r, "content": c}
    for r, c in (("user", "hi"), ("assistant", "yes"), ("assistant", "no"))
)


def row(**changes) -> bytes:
    return json.dumps({k: v for k, v in (GOOD | changes).items() if v != "MISSING"}).encode()


ERRORS = {  # damage -> (the line, what the reason says)
    "broken JSON": (b'{"prompt": "a", "chosen"', "broken JSON"),
    "invalid UTF-8": (b'{"prompt": "\xff\xfe"}', "not UTF-8"),
    "NUL bytes": (b'{"prompt": "a\x00b"}', "NUL"),
    "missing key": (row(rejected="MISSING"), "no 'rejected'"),
    "wrong type": (row(chosen=7), "chosen must be a string or a list of messages, not int"),
    "null": (row(chosen=None), "no 'chosen'"),
    "empty response": (row(chosen=""), "chosen is empty"),
    "blank response": (row(rejected=" \n\t"), "rejected is empty"),
    "chosen equal to rejected": (row(chosen="x", rejected="x"), "the same"),
    "unknown role": (row(prompt=[{"role": "robot", "content": "x"}]), "unknown role 'robot'"),
    "messages end with the user": (
        row(prompt=[USER], chosen=[USER], rejected=[NO]),
        "assistant's turn",
    ),
    "no assistant turn": (
        json.dumps({"chosen": "Human: hi", "rejected": "Human: ho"}).encode(),
        "no assistant turn",
    ),
    "probability above one": (row(probability=1.2), "from 0 to 1"),
    "probability below zero": (row(probability=-0.1), "from 0 to 1"),
    "nested list": (row(chosen=[[YES]]), "not a {"),
    "a CSV line": (b"prompt,chosen,rejected", "a CSV file?"),
    # and more, not asked for
    "an array": (b"[1, 2]", "not an object"),
    "probability NaN": (row(probability=float("nan")), "NaN is not a JSON number"),
    "half a character": (
        b'{"prompt": "\\ud800", "chosen": "a", "rejected": "b"}',
        "lone surrogate",
    ),
    "a key twice": (
        b'{"prompt": "a", "chosen": "b", "chosen": "c", "rejected": "d"}',
        "stands twice",
    ),
    "a number of 5000 digits": (b'{"prompt": ' + b"9" * 5000 + b"}", "not JSON"),
    "probability as text": (row(probability="0.9"), "probability must be a number"),
    "an empty list": (row(chosen=[]), "an empty list"),
    "message without content": (row(prompt=[{"role": "user"}]), "not a {"),
    "different prompts": (
        json.dumps({"chosen": [USER, YES], "rejected": [YES, NO]}).encode(),
        "different prompts",
    ),
    "string against messages": (json.dumps({"chosen": "a", "rejected": [NO]}).encode(), "both be"),
    "deep nesting": (b'{"prompt": ' + b"[" * 100_000, "not JSON"),
}


@pytest.mark.parametrize("damage", ERRORS)
def test_errors_stop_training_and_are_findings_of_the_check(damage, tmp_path):
    line, reason = ERRORS[damage]
    path = tmp_path / "pairs.jsonl"
    path.write_bytes(row() + b"\n" + line + b"\n" + row(prompt="another ?") + b"\n")
    with pytest.raises(DataError) as caught:
        read_rows(path)
    assert f"{path}, line 2: " in str(caught.value)
    assert reason in str(caught.value)
    found = check_file(path, "pairs")
    assert found.report.rows == 2
    assert found.report.left_out.total() == 1
    (told,) = found.report.left_out
    assert reason in told
    assert found.report.lines[told] == [2]
    assert "(line 2)" in str(found)


@pytest.mark.parametrize("label", [0, 1, "true", [], 0.0])
def test_labels_that_are_not_bool(label, tmp_path):
    path = tmp_path / "thumbs.jsonl"
    path.write_text(json.dumps({"prompt": "a", "completion": "b", "label": label}) + "\n")
    assert "label must be true or false" in str(check_file(path, "labels"))


def test_warnings_are_reported_and_used(tmp_path):
    long = " ".join(["word"] * 60)
    path = tmp_path / "pairs.jsonl"
    lines = [
        row(),
        row(),
        row(chosen=GOOD["rejected"], rejected=GOOD["chosen"]),
        row(prompt="b ?", chosen=long),
    ]
    path.write_bytes(b"\xef\xbb\xbf" + b"\n".join(lines))
    found = check_file(path)
    assert found.report.rows == 4
    assert not found.report.left_out
    for reason, line in (
        ("byte order mark", 1),
        ("duplicate", 2),
        ("contradicts", 3),
        ("three times as long", 4),
    ):
        (told,) = [r for r in found.report.warnings if reason in r]
        assert found.report.lines[told] == [line], told
    rows, report = read_rows(path)
    assert len(rows) == 4
    assert "byte order mark" in str(report)


def test_lengths_and_truncation_in_tokens(tmp_path):
    path = tmp_path / "pairs.jsonl"
    path.write_bytes(
        b"\n".join([row(), row(prompt="how " * 30), row(prompt="b ?", chosen="good " * 40)])
    )
    found = check_file(path, tokenizer=review_tokenizer(), max_length=20)
    assert found.unit == "tokens"
    assert found.report.rows == 2
    assert found.tokens_lost == 30 + 4 - 20
    assert "cut at its beginning to fit into 20 tokens" in str(found)
    assert "leaves no room for a prompt" in str(found)
    assert "prompt tokens lost to truncation: 14" in str(found)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"PAR1....", "a Parquet file"),
        (b"PK\x03\x04", "a zip archive"),
        ("{}".encode("utf-16"), "UTF-16"),
        (b"\x1f\x8b\x08broken", "can't be read"),
    ],
)
def test_files_of_another_kind(content, reason, tmp_path):
    path = tmp_path / "pairs.jsonl"
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"line 1: .*{reason}"):
        check_file(path, "pairs")


def test_a_csv_a_directory_and_a_gzip_cut_in_the_middle_from_the_command_line(tmp_path, capsys):
    table = tmp_path / "pairs.csv"
    table.write_text("prompt,chosen,rejected\na,b,c\n")
    assert cli.main(["check-data", str(table)]) == 1
    assert "a CSV file?" in capsys.readouterr().out
    assert cli.main(["check-data", str(tmp_path)]) == 2
    assert "is a folder" in capsys.readouterr().err
    cut = tmp_path / "cut.jsonl.gz"
    whole = gzip.compress(
        b"\n".join(row(prompt=f"{i} ?", chosen=str(i * 7919)) for i in range(3000))
    )
    cut.write_bytes(whole[: len(whole) // 2])
    assert cli.main(["check-data", str(cut)]) == 2
    assert "can't be read to its end" in capsys.readouterr().err


def test_a_good_file_has_exit_status_0_and_its_kind_is_seen(tmp_path, capsys):
    files = {
        "pairs": row(),
        "labels": b'{"prompt": "a", "completion": "b", "label": true}',
        "texts": b'{"prompt": "a", "completion": "b"}',
    }
    for kind, line in files.items():
        path = tmp_path / f"{kind}.jsonl"
        path.write_bytes(line)
        assert kind_of(path) == kind
        assert cli.main(["check-data", str(path)]) == 0
    assert "mean" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="peak memory is read from Linux's /proc"
)
def test_a_million_rows_stream_in_under_500_megabytes(tmp_path):
    path = tmp_path / "million.jsonl"
    with open(path, "w") as file:
        for i in range(1_000_000):
            file.write(
                f'{{"prompt": "question {i % 999_990} ?", "chosen": "yes", "rejected": "no"}}\n'
            )
    command = (
        "import re, sys; from dpo_from_scratch.doctor import check_file\n"
        "print(check_file(sys.argv[1], 'pairs'))\n"
        "print(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1])"
    )
    found = subprocess.run(
        [sys.executable, "-c", command, path],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    assert "1000000 rows used, 0 left out" in found.stdout
    assert "warning 10: duplicate" in found.stdout
    assert int(found.stdout.split()[-1]) < 500_000  # kilobytes


texts = st.one_of(
    st.text(max_size=12),
    st.none(),
    st.integers(),
    st.floats(),
    st.lists(st.text(max_size=3), max_size=2),
)
messages = st.lists(
    st.dictionaries(
        st.sampled_from(["role", "content", "x"]), st.sampled_from(["user", "assistant", "", "hi"])
    ),
    max_size=3,
)
fields = st.dictionaries(
    st.sampled_from(
        ["prompt", "chosen", "rejected", "completion", "label", "probability", "other"]
    ),
    st.one_of(
        texts,
        messages,
        st.booleans(),
        st.sampled_from(["\n\nHuman: a\n\nAssistant: b", "\n\nAssistant:"]),
    ),
)
lines = st.one_of(
    st.binary(max_size=60),
    fields.map(lambda x: json.dumps(x).encode()),
    st.text(max_size=40).map(lambda s: s.encode("utf-8", "surrogatepass")),
    fields.map(lambda x: json.dumps(x).encode()[:-3]),
)


@settings(
    max_examples=2000,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(lines, max_size=5), st.sampled_from(list(KEYS)), st.booleans())
def test_no_bytes_make_the_reader_fall_over(tmp_path, content, kind, zipped):
    path = tmp_path / "fuzz"
    whole = b"\n".join(content)
    path.write_bytes(gzip.compress(whole) if zipped else whole)
    report = Report()
    try:
        found = list(scan(path, kind, report))
        checked = check_file(path, kind)
    except DataError:
        return
    nonblank = sum(
        bool((line[3:] if i == 0 and line.startswith(b"\xef\xbb\xbf") else line).strip())
        for i, line in enumerate(whole.split(b"\n"))
    )
    assert (
        len(found) == nonblank == checked.report.rows + checked.report.left_out.total()
    )  # every line is used or named
    for _, good, reason in found:
        assert (good is None) == bool(reason)
