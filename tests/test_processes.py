"""Several processes: shares of a batch, one launch against one process, commands that have none.

tests/processes.py goes through all losses, tests/kill_a_rank.py kills processes.
"""

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import processes
import pytest
import torch

from dpo_from_scratch import world
from dpo_from_scratch.cli import main, make_parser
from dpo_from_scratch.data import DataError, write_rows
from dpo_from_scratch.models import Scorer, load_model, pad_id
from dpo_from_scratch.processes import group, shard
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
    assert apart(Path("one", path.parent), Path("two", path.parent)) < 1e-3


def apart(one: Path, other: Path) -> float:
    """How far two models' log-probabilities of rows held out are apart at most, nats."""
    found = [load_model(folder) for folder in (one, other)]
    rows, _ = encode_rows(found[0][1], world.make_pairs(16, seed=99))
    a, b = (score_pairs(Scorer(model), rows, pad_id(tokenizer)) for model, tokenizer in found)
    return float((a - b).abs().max())


@pytest.mark.slow
def test_two_agents_that_meet_by_rendezvous_as_two_machines_do_train_as_one(tmp_path, monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        endpoint = f"localhost:{free.getsockname()[1]}"
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nnodes", "2"]
    torchrun += ["--nproc-per-node", "1", "--rdzv-backend", "c10d", "--rdzv-endpoint", endpoint]
    write_rows(tmp_path / "pairs.jsonl", world.make_pairs(8, seed=1))
    run = ["train", "--model", "tiny", "--data", "pairs.jsonl", "--steps", "2", "--loss", "aot"]
    command = [*torchrun, "--rdzv-id", "run", "-m", "dpo_from_scratch", *run, "--out", "two"]
    where = {"cwd": tmp_path, "env": os.environ | {"PYTHONPATH": str(processes.ROOT)}}
    agents = [subprocess.Popen(command, **where) for _ in range(2)]
    assert [agent.wait(timeout=300) for agent in agents] == [0, 0]
    monkeypatch.chdir(tmp_path)
    assert main([*run, "--out", "one"]) == 0
    assert apart(Path("one", "model"), Path("two", "model")) < 1e-3


def test_the_batch_script_of_chapter_21_is_one(tmp_path):
    book = processes.ROOT / "notebooks" / "21_make_it_fast.ipynb"
    cells = json.loads(book.read_text(encoding="utf-8"))["cells"]
    text = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    (script,) = re.findall(r"```bash\n(#!.*?)```", text, re.DOTALL)
    (tmp_path / "job.sh").write_text(script, encoding="utf-8")
    assert subprocess.run(["bash", "-n", tmp_path / "job.sh"]).returncode == 0
    said = tmp_path / "said"
    for name in ("scontrol", "srun"):  # one names the machines, the other shows what it is to run
        tool = "echo first; echo second" if name == "scontrol" else f'printf "%s\\n" "$@" > {said}'
        (tmp_path / name).write_text(f"#!/bin/sh\n{tool}\n", encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    env = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "SLURM_NNODES": "2"}
    subprocess.run(["bash", tmp_path / "job.sh"], env=env, cwd=tmp_path, check=True)
    words = said.read_text(encoding="utf-8").split()
    assert words[words.index("--rdzv-endpoint") + 1] == "first:29500"
    options = make_parser().parse_args(words[words.index("dpo_from_scratch") + 1 :])
    assert (options.command, options.resume) == ("train", False)


@pytest.mark.parametrize("precision", ["bf16", "auto"])
def test_slices_on_gpus_round_no_log_probabilities(precision, tiny, monkeypatch):
    """Accelerate makes bf16 of what a sliced model gives: a quarter of a nat, at 60 nats."""
    made = {}
    monkeypatch.setattr(shard, "Accelerator", lambda **given: made.update(given))
    two = Processes(0, 2, torch.device("cuda"))
    shard.accelerator_of(TrainConfig(shard=True, precision=precision), two, tiny[0])
    plugin = made["fsdp_plugin"]
    assert plugin.fsdp_version == 2
    plugin.set_mixed_precision("bf16")  # what Accelerate does next
    assert plugin.mixed_precision_policy.output_dtype is None
    assert plugin.mixed_precision_policy.reduce_dtype is None


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
