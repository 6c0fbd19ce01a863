"""Several processes: shares of a batch, one launch against one process, commands that have none.

tests/processes.py goes through all losses, tests/kill_a_rank.py kills processes.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import processes
import pytest
import torch

from dpo_from_scratch import world
from dpo_from_scratch.cli import main
from dpo_from_scratch.data import DataError
from dpo_from_scratch.models import Scorer, load_model, pad_id
from dpo_from_scratch.processes import group
from dpo_from_scratch.processes.group import Processes
from dpo_from_scratch.processes.parts import parts
from dpo_from_scratch.scoring import score_pairs
from dpo_from_scratch.tokens import encode_rows
from dpo_from_scratch.training import TrainConfig, pick_rows, train

FEW = ["dpo", "kto", "aot"]


@pytest.fixture(scope="module")
def launches(tmp_path_factory):
    """Three steps of three losses in two processes, and in this one."""
    place = tmp_path_factory.mktemp("launches")
    processes.launch(place / "two", 2, FEW, "--steps", "3")
    (place / "alone").mkdir()
    processes.launched(place / "alone", FEW, steps=3)
    return place


@pytest.mark.slow
@pytest.mark.parametrize("name", FEW)
def test_two_processes_train_the_weights_of_one(launches, name):
    off = processes.differences(launches / "alone", launches / "two", name)
    assert all(off[kind] <= limit for kind, limit in processes.LIMITS.items()), off


@pytest.mark.slow
@pytest.mark.parametrize("name", FEW)
def test_the_metrics_of_two_processes_are_those_of_all_rows(launches, name):
    alone, two = (
        json.loads((launches / which / f"{name} float64.json").read_text())
        for which in ("alone", "two")
    )
    assert [row.keys() for row in alone] == [row.keys() for row in two]
    for mine, theirs in zip(alone, two, strict=True):
        # what is counted is float32 here too, and its sums are cut otherwise
        assert theirs == pytest.approx(mine, rel=1e-6, abs=1e-9)


def test_every_row_of_a_batch_is_in_one_process_whatever_their_number():
    config = TrainConfig(batch_size=7, accumulation=2)
    for step in range(4):
        picked = pick_rows(step, 10, config)
        for size in (1, 2, 4, 9):
            found = [parts(picked, 2, Processes(rank, size)) for rank in range(size)]
            assert len({len(of_rank) for of_rank in found}) == 1  # all meet as often
            mine = [p.rows[: p.counts[rank]] for rank in range(size) for p in found[rank]]
            assert sorted(torch.cat(mine).tolist()) == sorted(picked.tolist())
            assert all(len(p.rows) for of_rank in found for p in of_rank)


@pytest.mark.parametrize("rows", [1, 5, 8, 32])
@pytest.mark.parametrize("accumulation", [1, 2, 3, 40])
def test_one_process_cuts_a_batch_as_chunk_does(rows, accumulation):
    found = parts(torch.arange(rows), accumulation, Processes())
    expected = torch.arange(rows).chunk(accumulation)
    assert [p.rows.tolist() for p in found] == [part.tolist() for part in expected]


ROUNDS = ["iterate", "--method", "iterated", "--rounds", "2", "--steps", "4", "--batch-size", "8"]
GROUPS = ["feedback", "--model", "tiny", "--judge", "reviews", "--groups", "1", "--steps", "2"]
MADE = {  # command -> files that are the same, whoever made them
    "iterate": ["round-1/pairs.jsonl", "round-1/made_by.json", "round-2/pairs.jsonl"],
    "feedback": ["responses.jsonl", "scores.jsonl", "pairs.jsonl", "made_by.json"],
}


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [ROUNDS, GROUPS])
def test_two_processes_sample_judge_and_train_as_one(arguments, tmp_path, monkeypatch):
    """Each draws its share; the first asks the judge, and writes."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command = [*torchrun, "--nproc-per-node", "2", "-m", "dpo_from_scratch", *arguments]
    env = os.environ | {"PYTHONPATH": str(processes.ROOT)}
    done = subprocess.run([*command, "--out", "two"], cwd=tmp_path, env=env, timeout=300)
    monkeypatch.chdir(tmp_path)
    assert done.returncode == main([*arguments, "--out", "one"]) == 0
    one, two = ({p.relative_to(t) for p in t.rglob("*")} for t in map(Path, ("one", "two")))
    assert one == two
    for name in MADE[arguments[0]]:
        assert Path("one", name).read_bytes() == Path("two", name).read_bytes(), name
    (path,) = [p for p in one if p.name == "model.safetensors" and p.parts[0] != "round-1"]
    found = [load_model(Path(trained, path.parent)) for trained in ("one", "two")]
    rows, _ = encode_rows(found[0][1], world.make_pairs(16, seed=99))
    one, two = (score_pairs(Scorer(model), rows, pad_id(tokenizer)) for model, tokenizer in found)
    assert (one - two).abs().max() < 1e-3


def test_processes_hand_round_what_each_has_and_what_the_first_says():
    assert Processes().every([1, 2]) == [1, 2]
    assert Processes().from_first(lambda: 3) == 3


def launched(code: list[str], rank: int, place: Path) -> subprocess.Popen:
    """Python as a launcher of two would start it."""
    env = os.environ | {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2"}
    env |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1", "PYTHONPATH": str(processes.ROOT)}
    pipe = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, *code], env=env, cwd=place, **pipe)


def test_a_command_for_one_process_says_so_once_and_writes_nothing(tmp_path):
    command = ["-m", "dpo_from_scratch", "sample", "--prompt", "film : how was the plot ?"]
    started = [launched(command, rank, tmp_path) for rank in (0, 1)]
    said = [process.communicate(timeout=300) for process in started]
    assert [process.returncode for process in started] == [2, 2]
    assert said[0][1].count("\n") == 1
    assert "without torchrun" in said[0][1]
    assert said[1] == ("", "")
    assert list(tmp_path.iterdir()) == []


def test_where_accelerate_counts_other_processes_than_the_launcher_nothing_is_written(
    tiny, tmp_path, monkeypatch
):
    for name, value in {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    alone = SimpleNamespace(num_processes=1, process_index=0, device=torch.device("cpu"))
    monkeypatch.setattr(group, "PartialState", lambda cpu: alone)
    rows = world.make_pairs(8, seed=1)
    with pytest.raises(DataError, match="started 2 processes and Accelerate counts 1"):
        train(*tiny, rows, TrainConfig(steps=1), tmp_path / "run", progress=False)
    assert list(tmp_path.iterdir()) == []
