"""Runs survive: killed at any moment and started again they end the same; what can't go on says
so and loses nothing.
"""

import copy
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from dpo_from_scratch import cli, world
from dpo_from_scratch.data import DataError, write_rows
from dpo_from_scratch.training import TrainConfig, checkpoints, train

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
    model, given = copy.deepcopy(tiny[0]), {"reference", "overwrite", "progress"} & options.keys()
    more = {"progress": False} | {name: options.pop(name) for name in given}
    config = TrainConfig(**FAST | options)
    history = train(model, tiny[1], rows, config, folder, resume=resume, on_step=on_step, **more)
    return torch.cat([p.detach().flatten() for p in model.parameters()]), history


def stop_after(step):
    def on_step(done, row):
        if done == step:
            os.kill(os.getpid(), signal.SIGINT)

    return on_step


@pytest.mark.slow
def test_ten_kills_at_random_moments_and_every_run_ends_as_if_left_alone():
    """By hand `python tests/kill_at_random.py 100` kills more."""
    script = Path(__file__).with_name("kill_at_random.py")
    found = subprocess.run(
        [sys.executable, script, "10", "22"], capture_output=True, text=True, timeout=300
    )
    assert found.returncode == 0, found.stdout + found.stderr
    assert re.search(r"^1\d kills, 0 of \d+ runs ended otherwise", found.stdout, re.M)


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


def cut_run(tiny, folder, step=5, **options):
    with pytest.raises(KeyboardInterrupt):
        start(tiny, folder, on_step=stop_after(step), **options)


def files(folder):
    return [p for p in folder.rglob("*") if p.is_file()]


def test_a_folder_that_holds_a_run_is_not_written_over_but_on_demand(tiny, tmp_path):
    folder = tmp_path / "run"
    cut_run(tiny, folder)
    same = "an unfinished run of the same settings and data: --resume goes on with it, --overwrite"
    with pytest.raises(DataError, match=same):
        start(tiny, folder)
    whole, history = start(tiny, folder, resume=True)
    before = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in files(folder)}
    with pytest.raises(DataError, match=r"a finished run .*--resume leaves.*--overwrite .*--out"):
        start(tiny, folder)
    told = r"a finished run with other settings or data \(beta was 0.6 and is 0.7\): --resume needs"
    with pytest.raises(DataError, match=told):
        start(tiny, folder, beta=0.7)
    with pytest.raises(DataError, match="can't go on with other settings"):
        start(tiny, folder, resume=True, beta=0.7)
    again, told = start(tiny, folder, resume=True)  # finished: nothing is done
    assert torch.equal(whole, again)
    assert told == history
    assert before == {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in files(folder)}
    (folder / "notes.txt").write_text("mine")
    start(tiny, folder, overwrite=True, beta=0.7)
    assert json.loads((folder / "config.json").read_text())["beta"] == 0.7
    assert (folder / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beta": 0.7}, "beta was 0.6 and is 0.7"),
        ({"steps": 9}, "steps was 6"),
        ({"rows": ROWS[:19]}, "rows and .* are not what the run began with"),
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


def moved(tiny):
    """The tiny model with other weights."""
    other = copy.deepcopy(tiny[0])
    with torch.no_grad():
        other.transformer.wpe.weight.add_(0.01)
    return other


def test_another_starting_model_cannot_go_on(tiny, tmp_path):
    cut_run(tiny, tmp_path / "run")
    with pytest.raises(DataError, match="starting model is not what the run began with"):
        start((moved(tiny), tiny[1]), tmp_path / "run", resume=True)


@pytest.mark.parametrize("options", [{"loss": "kto"}, {"live_reference": True}, {}])
def test_another_reference_cannot_go_on(tiny, tmp_path, options):
    with pytest.raises(KeyboardInterrupt):
        start(tiny, tmp_path, on_step=stop_after(3), reference=moved(tiny), **options)
    with pytest.raises(DataError, match="reference is not what the run began with"):
        start(tiny, tmp_path, resume=True, **options)
    start(tiny, tmp_path, resume=True, reference=moved(tiny), **options)


def test_labels_that_were_turned_round_cannot_go_on(tiny, tmp_path):
    thumbs = world.make_thumbs(20, seed=4)
    with pytest.raises(KeyboardInterrupt):
        start(tiny, tmp_path, on_step=stop_after(3), rows=thumbs, loss="kto")
    turned = [row | {"label": not row["label"]} for row in thumbs]
    with pytest.raises(DataError, match=r"\(labels of the rows are not what the run began with\)"):
        start(tiny, tmp_path, resume=True, rows=turned, loss="kto")


def test_a_template_that_writes_the_time_is_suspected(tiny, tmp_path):
    cut_run(tiny, tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["begun_with"]["tokens of the rows"] = "as yesterday"
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(DataError, match=r"chat template writes the date or the time"):
        start(tiny, tmp_path, resume=True)


def test_a_run_of_an_older_version_goes_on(tiny, tmp_path):
    whole, _ = start(tiny, tmp_path / "whole", score_all=True)
    cut_run(tiny, tmp_path / "run", score_all=True)
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    older = {k: v for k, v in config.items() if k not in ("begun_with", "score_all")}
    older |= {"rows": "hash of then", "weights": "hash of then"}
    (tmp_path / "run" / "config.json").write_text(json.dumps(older))
    for checkpoint in (tmp_path / "run").glob("checkpoint-*"):
        (checkpoint / "state.json").unlink()
    assert torch.equal(whole, start(tiny, tmp_path / "run", resume=True, score_all=True)[0])


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
    real, calls = checkpoints.save_file, []

    def full(tensors, path):
        calls.append(path)
        if len(calls) == 2:  # the first checkpoint, then the disk is full
            Path(path).write_bytes(b"half")
            raise OSError(28, "No space left on device")
        real(tensors, path)

    monkeypatch.setattr(checkpoints, "save_file", full)
    kept = "the last checkpoint is untouched (checkpoint-00000002)"
    with pytest.raises(DataError, match=re.escape(f"(No space left on device): {kept}")):
        start(tiny, tmp_path / "run")
    monkeypatch.setattr(checkpoints, "save_file", real)
    whole, _ = start(tiny, tmp_path / "whole")
    assert torch.equal(whole, start(tiny, tmp_path / "run", resume=True)[0])
    assert names(tmp_path / "run") == names(tmp_path / "whole")


def names(folder):
    return sorted(p.relative_to(folder).as_posix() for p in files(folder))


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_on_the_command_line_leaves_a_checkpoint(number, status, tmp_path):
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
    process.send_signal(number)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == status
    assert re.search(r"dpo train: stopped after step \d+; run goes on with --resume\n$", stderr)
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
