"""Runs survive: killed at any moment and started again they end the same; what can't go on says
so and loses nothing.
"""

import copy
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from dpo_from_scratch import cli, world
from dpo_from_scratch.data import DataError, write_rows
from dpo_from_scratch.training import TrainConfig, runs, train

ROWS = world.make_pairs(20, seed=2)
FAST = {
    "beta": 0.6,
    "learning_rate": 1e-3,
    "steps": 6,
    "batch_size": 8,
    "warmup": 2,
    "save_every": 2,
}


def start(tiny, folder, resume=False, on_step=None, rows=ROWS, **options):
    model = copy.deepcopy(tiny[0])
    history = train(
        model,
        tiny[1],
        rows,
        TrainConfig(**FAST | options),
        folder,
        resume=resume,
        on_step=on_step,
        progress=False,
    )
    return torch.cat([p.detach().flatten() for p in model.parameters()]), history


def stop_after(step):
    def on_step(done, row):
        if done == step:
            os.kill(os.getpid(), signal.SIGINT)

    return on_step


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["plain", "accumulation", "lora", "live reference"])
def test_five_kills_five_identical_endings(variant, tmp_path):
    driver = Path(__file__).with_name("kill_driver.py")
    found = subprocess.run(
        [sys.executable, driver, tmp_path, variant, "7"],
        capture_output=True,
        text=True,
        timeout=300,
    )
    kills = [json.loads(line) for line in found.stdout.splitlines() if line.startswith("{")]
    assert len(kills) == 5, found.stderr
    for kill in kills:
        assert kill["first"] == -signal.SIGKILL, kill
        assert kill["second"] == 0, kill
        assert kill["model/model.safetensors"], kill
        assert kill["metrics.jsonl"], kill


def test_ctrl_c_leaves_a_checkpoint_and_says_how_to_go_on(tiny, tmp_path):
    whole, history = start(tiny, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt, match=r"after step 3; .*cut goes on with --resume"):
        start(tiny, tmp_path / "cut", on_step=stop_after(3), save_every=0)
    assert [p.name for p in (tmp_path / "cut").glob("checkpoint-*")] == ["checkpoint-00000003"]
    resumed, again = start(tiny, tmp_path / "cut", resume=True, save_every=0)
    assert torch.equal(whole, resumed)
    assert history == again
    assert not list((tmp_path / "cut").glob("checkpoint-*"))  # done: the model is there


def test_without_a_folder_ctrl_c_just_stops(tiny):
    with pytest.raises(KeyboardInterrupt, match=r"after step 2$"):
        start(tiny, None, on_step=stop_after(2))


def cut_run(tiny, folder, step=5):
    with pytest.raises(KeyboardInterrupt):
        start(tiny, folder, on_step=stop_after(step))


def test_an_unfinished_run_is_not_overwritten_by_accident_and_a_finished_one_may_be(tiny, tmp_path):
    cut_run(tiny, tmp_path / "run")
    with pytest.raises(DataError, match="holds an unfinished run"):
        start(tiny, tmp_path / "run")
    start(tiny, tmp_path / "run", resume=True)
    start(tiny, tmp_path / "run")
    with pytest.raises(DataError, match="lower the learning rate"):
        start(tiny, tmp_path / "run", learning_rate=1e30)
    assert (
        tmp_path / "run" / "model" / "model.safetensors"
    ).is_file()  # a run that fails leaves the last model


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beta": 0.7}, "beta was 0.6 and is 0.7"),
        ({"steps": 9}, "steps was 6"),
        ({"rows": ROWS[:19]}, "rows was"),
    ],
)
def test_other_settings_or_rows_cannot_go_on(tiny, tmp_path, options, message):
    cut_run(tiny, tmp_path / "run")
    with pytest.raises(DataError, match=message):
        start(tiny, tmp_path / "run", resume=True, **options)
    whole, _ = start(tiny, tmp_path / "whole")
    assert torch.equal(
        whole, start(tiny, tmp_path / "run", resume=True)[0]
    )  # the right ones still can


def test_another_starting_model_cannot_go_on(tiny, tmp_path):
    cut_run(tiny, tmp_path / "run")
    other = copy.deepcopy(tiny[0])
    with torch.no_grad():
        other.transformer.wpe.weight.add_(0.01)
    with pytest.raises(DataError, match="weights was"):
        start((other, tiny[1]), tmp_path / "run", resume=True)


def test_nothing_to_go_on_with_says_so(tiny, tmp_path):
    with pytest.raises(DataError, match="holds no run to go on with"):
        start(tiny, tmp_path / "nothing", resume=True)


@pytest.mark.parametrize("damage", ["cut short", "gone"])
def test_a_damaged_checkpoint_is_named_and_the_one_before_it_goes_on(tiny, tmp_path, damage):
    cut_run(tiny, tmp_path / "run")
    before, last = sorted((tmp_path / "run").glob("checkpoint-*"))
    state = last / "state.safetensors"
    if damage == "gone":
        state.unlink()
    else:
        os.truncate(state, state.stat().st_size // 2)
    with pytest.raises(
        DataError, match=f"{last.name} is damaged.*delete this folder to go on from {before.name}"
    ):
        start(tiny, tmp_path / "run", resume=True)
    for path in last.glob("*"):
        path.unlink()
    last.rmdir()
    whole, _ = start(tiny, tmp_path / "whole")
    assert torch.equal(whole, start(tiny, tmp_path / "run", resume=True)[0])


def test_a_full_disk_is_one_sentence_and_the_last_checkpoint_stays(tiny, tmp_path, monkeypatch):
    real, calls = runs.save_file, []

    def full(tensors, path, **kwargs):
        calls.append(path)
        if len(calls) == 3:  # reference scores, first checkpoint, then the disk is full
            Path(path).write_bytes(b"half")
            raise OSError(28, "No space left on device")
        real(tensors, path, **kwargs)

    monkeypatch.setattr(runs, "save_file", full)
    with pytest.raises(
        DataError, match=r"No space left on device\): the last checkpoint is untouched"
    ):
        start(tiny, tmp_path / "run")
    monkeypatch.setattr(runs, "save_file", real)
    assert [p.name for p in (tmp_path / "run").glob("checkpoint-*") if p.suffix != ".partial"] == [
        "checkpoint-00000002"
    ]
    whole, _ = start(tiny, tmp_path / "whole")
    assert torch.equal(whole, start(tiny, tmp_path / "run", resume=True)[0])


def test_ctrl_c_on_the_command_line(tmp_path):
    write_rows(tmp_path / "pairs.jsonl", ROWS)
    command = [
        sys.executable,
        "-m",
        "dpo_from_scratch",
        "train",
        "--data",
        "pairs.jsonl",
        "--out",
        "run",
        "--steps",
        "100000",
    ]
    process = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    metrics = tmp_path / "run" / "metrics.jsonl"
    for _ in range(600):
        if metrics.exists() and metrics.read_text().count("\n") > 2:
            break
        assert process.poll() is None, process.stderr.read()
        signal.sigtimedwait([], 0.1)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "goes on with --resume" in stderr
    assert "Traceback" not in stderr
    assert list((tmp_path / "run").glob("checkpoint-*"))


def test_precision_that_a_cpu_only_pretends_is_refused(capsys, tmp_path):
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(ValueError, match="fp16 needs a GPU"):
        TrainConfig(precision="fp16")
    write_rows(tmp_path / "pairs.jsonl", ROWS)
    assert cli.main(["train", "--data", str(tmp_path / "pairs.jsonl"), "--precision", "fp16"]) == 2
    assert "fp16 needs a GPU" in capsys.readouterr().err


def test_bf16_trains_in_bf16_and_starts_within_its_tolerance(tiny, tmp_path):
    _, exact = start(tiny, None)
    _, rough = start(tiny, None, precision="bf16")
    assert rough[-1]["loss"] != exact[-1]["loss"]
    assert rough[0]["loss"] == pytest.approx(exact[0]["loss"], abs=0.05)
    assert rough[-1]["loss"] == pytest.approx(exact[-1]["loss"], abs=0.1)


def test_a_model_with_adapters_is_refused_for_new_ones(tiny):
    from dpo_from_scratch.training.lora import add_lora

    with pytest.raises(DataError, match="merge them first"):
        start((add_lora(copy.deepcopy(tiny[0]), 2), tiny[1]), None, lora_rank=2)
