"""Many rows lie on the disk: the same run from them, and every way in which that can fail."""

import copy
import errno
import json
import threading
import time

import pytest
import torch

from benchmarks import million
from dpo_from_scratch import world
from dpo_from_scratch.data import DataError, read_rows, reading, split_pairs, stored, write_rows
from dpo_from_scratch.training import TrainConfig, flat, train
from dpo_from_scratch.training.locks import Lock

PAIRS = [row | {"probability": 0.9} for row in world.make_pairs(40, seed=5)]
TEXTS = [{"prompt": r["prompt"], "completion": r["chosen"]} for r in PAIRS]
KINDS = {"dpo": PAIRS, "kto": PAIRS, "bco": split_pairs(PAIRS), "sft": TEXTS}
SETTINGS = {"beta": 0.6, "learning_rate": 1e-3, "steps": 6, "batch_size": 8, "warmup": 1}


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache, which takes files of 16 rows and more."""
    monkeypatch.setenv("DPO_CACHE", str(tmp_path / "cache"))
    many(monkeypatch, 16)
    return tmp_path / "cache" / "rows"


def many(monkeypatch, rows):
    for module in (reading, flat):
        monkeypatch.setattr(module, "MANY", rows)


def run(tiny, path, loss, folder, **options):
    """(weights, metrics, what config.json says) of a short run of a file."""
    kind = {"dpo": "pairs", "kto": "pairs", "bco": "labels", "sft": "texts"}[loss]
    rows, _ = read_rows(path, kind)
    model, config = copy.deepcopy(tiny[0]), TrainConfig(loss=loss, **SETTINGS | options)
    history = train(model, tiny[1], rows, config, folder, progress=False)
    begun = json.loads((folder / "config.json").read_text())["begun_with"]
    return [p.detach() for p in model.parameters()], history, begun


@pytest.mark.parametrize("loss", KINDS)
@pytest.mark.parametrize("options", [{}, {"skip_bad": True, "max_length": 24}], ids=str)
def test_a_run_of_stored_rows_is_bit_equal(tiny, tmp_path, cache, monkeypatch, loss, options):
    write_rows(tmp_path / "rows.jsonl", KINDS[loss])
    made = [run(tiny, tmp_path / "rows.jsonl", loss, tmp_path / f"{i}", **options) for i in (1, 2)]
    assert len(list(cache.glob("*"))) == 2, "rows, and their tokens"
    many(monkeypatch, 10**6)
    made.append(run(tiny, tmp_path / "rows.jsonl", loss, tmp_path / "memory", **options))
    for weights, history, begun in made[1:]:
        assert all(torch.equal(a, b) for a, b in zip(weights, made[0][0], strict=True))
        assert (history, begun) == made[0][1:]


def test_stored_rows_are_those_of_a_list_and_so_is_the_report(tmp_path, cache, monkeypatch):
    bad = [*PAIRS[:9], {"prompt": "?"}, *PAIRS[9:], PAIRS[0] | {"score": 1, "margin": -1.0}]
    write_rows(tmp_path / "rows.jsonl", bad)
    found = [read_rows(tmp_path / "rows.jsonl", skip_bad=True) for _ in range(2)]
    with pytest.raises(DataError, match="line 10"):
        read_rows(tmp_path / "rows.jsonl")
    many(monkeypatch, 10**6)
    rows, report = read_rows(tmp_path / "rows.jsonl", skip_bad=True)
    for kept, told in found:
        assert isinstance(kept, stored.StoredRows)
        assert str(told) == str(report)
        assert list(kept) == rows
        assert kept[-1] == rows[-1]
        assert kept[3:7] == rows[3:7]
        halves = stored.SplitRows(kept)
        assert list(halves) == split_pairs(rows)
    with pytest.raises(IndexError):
        kept[len(rows)]


def test_few_rows_write_no_cache(tiny, tmp_path, cache, monkeypatch):
    many(monkeypatch, stored.MANY)
    write_rows(tmp_path / "rows.jsonl", PAIRS)
    run(tiny, tmp_path / "rows.jsonl", "dpo", tmp_path / "run")
    assert not cache.exists()


def test_other_rows_tokenizers_and_lengths_have_other_places(tiny, tmp_path, cache):
    path = tmp_path / "rows.jsonl"
    write_rows(path, PAIRS)
    run(tiny, path, "dpo", tmp_path / "1")
    run(tiny, path, "dpo", tmp_path / "2", max_length=60)
    assert len(list(cache.glob("*"))) == 3
    write_rows(path, [*PAIRS[1:], PAIRS[0]])
    rows, _ = read_rows(path)
    assert rows[0] == PAIRS[1]
    assert len(list(cache.glob("*"))) == 4
    other = copy.deepcopy(tiny[1])
    other.add_tokens(["another"])
    assert flat.key_of_tokenizer(other) != flat.key_of_tokenizer(tiny[1])


def test_a_damaged_file_is_made_again_and_said_to_be(tmp_path, cache, capsys):
    write_rows(tmp_path / "rows.jsonl", PAIRS)
    read_rows(tmp_path / "rows.jsonl")
    text = next(cache.glob("*/text"))
    text.write_bytes(text.read_bytes()[:-1])
    rows, _ = read_rows(tmp_path / "rows.jsonl")
    assert list(rows) == PAIRS
    assert "is damaged, and is made again" in capsys.readouterr().out


def test_what_a_killed_process_left_is_made_anew(tmp_path, cache):
    write_rows(tmp_path / "rows.jsonl", PAIRS)
    read_rows(tmp_path / "rows.jsonl")
    place = next(p for p in cache.iterdir() if p.is_dir())
    place.rename(place.with_suffix(".partial"))
    (place.with_suffix(".partial") / stored.HEADER).unlink()
    (place.with_suffix(".partial") / "junk").write_text("half")
    place.with_suffix(".lock").touch()
    assert list(read_rows(tmp_path / "rows.jsonl")[0]) == PAIRS
    assert sorted(p.name for p in cache.iterdir()) == [place.name]
    assert not (place / "junk").exists()


def test_a_second_process_waits_for_the_first(tmp_path, cache, capsys):
    write_rows(tmp_path / "rows.jsonl", PAIRS)
    read_rows(tmp_path / "rows.jsonl")
    place = next(cache.iterdir())
    away = tmp_path / "away"
    place.rename(away)
    lock = Lock(place, place.with_suffix(".lock"))

    def first():
        time.sleep(0.5)
        away.rename(place)
        lock.release()

    thread = threading.Thread(target=first)
    thread.start()
    assert list(read_rows(tmp_path / "rows.jsonl")[0]) == PAIRS
    thread.join()
    assert "another process is writing" in capsys.readouterr().out


def full(self, numbers):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_leaves_the_rows_in_memory_and_nothing_else(
    tiny, tmp_path, cache, monkeypatch, capsys
):
    write_rows(tmp_path / "rows.jsonl", PAIRS)
    monkeypatch.setattr(stored.Flat, "add", full)
    run(tiny, tmp_path / "rows.jsonl", "dpo", tmp_path / "run")
    assert read_rows(tmp_path / "rows.jsonl")[0] == PAIRS
    told = capsys.readouterr().out
    assert "(No space left on device): all rows stay in memory" in told
    assert not list(cache.iterdir())


def test_a_cache_that_can_not_be_made_leaves_them_there_too(tmp_path, cache, monkeypatch, capsys):
    write_rows(tmp_path / "rows.jsonl", PAIRS)
    (tmp_path / "file").touch()
    monkeypatch.setenv("DPO_CACHE", str(tmp_path / "file"))
    assert read_rows(tmp_path / "rows.jsonl")[0] == PAIRS
    assert "all rows stay in memory" in capsys.readouterr().out


def test_memory_hardly_grows_with_the_rows():
    assert million.main([10_000, 30_000]) == 0
