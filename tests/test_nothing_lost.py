"""Nothing lost, nothing silent, nobody's files touched: damage, failing machines, bad numbers."""

import copy
import json
import os
import re
import shutil
import signal
import subprocess
import sys

import pytest
import torch
from test_runs import FAST, ROWS, cut_run, files, names, start, stop_after

from dpo_from_scratch import cli, world
from dpo_from_scratch.data import DataError, write_rows
from dpo_from_scratch.losses import LOSSES
from dpo_from_scratch.models import ModelError
from dpo_from_scratch.saving import save_model
from dpo_from_scratch.training import PRESETS, TrainConfig, batches, loop, pick_rows, runs, train
from dpo_from_scratch.training.folders import next_free
from dpo_from_scratch.training.locks import Lock


# ---------------------------------------------------------------- numbers
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"max_grad_norm": -1.0}, "max_grad_norm must be a number above 0, not -1"),
        ({"max_grad_norm": 0.0}, "max_grad_norm"),
        ({"max_grad_norm": float("inf")}, "max_grad_norm"),
        ({"warmup": -1}, "warmup must be 0 or more"),
        ({"weight_decay": -1.0}, "weight_decay must be a number from 0"),
        ({"weight_decay": float("inf")}, "weight_decay"),
        ({"learning_rate": 1e39}, "learning_rate must be a number from 0"),
        ({"learning_rate": float("nan")}, "learning_rate"),
        ({"seed": 10**19}, "seed must be"),
        ({"seed": -1}, "seed must be"),
        (
            {"loss": "kto", "loss_options": "desirable_weight=-5"},
            "desirable_weight must not be neg",
        ),
        (
            {"loss": "kto", "loss_options": "desirable_weight=inf"},
            "desirable_weight must be finite",
        ),
        (
            {"loss": "cdpo", "loss_options": "label_smoothing=0.7"},
            "label_smoothing must be at least",
        ),
        ({"loss": "cdpo", "loss_options": "label_smoothing=nan"}, "label_smoothing must be finite"),
        (
            {"loss": "cdpo", "loss_options": "label_smoothing=0.1,label_smoothing=0.2"},
            "label_smoothing is given twice",
        ),
    ],
)
def test_a_number_that_cannot_be_meant_is_refused_before_anything_is_read(wrong, message):
    with pytest.raises(ValueError, match=message):
        TrainConfig(**wrong)


@pytest.mark.parametrize("loss", LOSSES)
def test_the_defaults_of_every_loss_can_be_meant(loss):
    assert TrainConfig(loss=loss).loss == loss


def test_settings_that_do_little_get_a_note_and_train(tiny, capsys):
    _, quiet = start(tiny, None, rows=ROWS[:4], warmup=100)
    assert capsys.readouterr().out == ""
    _, history = start(tiny, None, rows=ROWS[:4], warmup=100, progress=True)
    told = capsys.readouterr().out
    assert "warm-up takes 100 steps and the run has 6: the learning rate rises to 5.9e-05" in told
    assert "a batch takes 8 rows and there are 4" in told
    assert history == quiet


@pytest.mark.parametrize("loss", LOSSES)
def test_a_rate_that_breaks_the_model_gets_its_word(loss, tiny, capsys):
    """At learning rate 1, twenty steps: a loss far above its beginning, a gradient of exactly 0, or
    responses that have become impossible.
    """
    kinds = {"pairs": world.make_pairs, "labels": world.make_thumbs, "texts": world.make_texts}
    rows = kinds[LOSSES[loss].needs](24, seed=5)
    settings = {"learning_rate": 1.0, "steps": 20, "loss": loss, "save_every": 0}
    start(tiny, None, rows=rows, progress=True, **settings)
    assert "note: " in capsys.readouterr().out


@pytest.mark.parametrize("loss", ["dpo", "sft", "kto", "ipo"])
def test_a_healthy_run_gets_no_word(loss, tiny, capsys):
    kinds = {"pairs": world.make_pairs, "labels": world.make_thumbs, "texts": world.make_texts}
    rows = kinds[LOSSES[loss].needs](64, seed=5)
    for plain in (False, True):
        start(tiny, None, rows=rows, progress=True, steps=12, loss=loss, save_every=0, plain=plain)
        assert words(capsys.readouterr().out) == ""


def words(out):
    """What was printed but for the line that says how the run computes."""
    return re.sub(r"^computed with .*, in float32\n", "", out)


def test_a_beta_without_any_gradient_is_told(tiny, capsys):
    start(tiny, None, beta=1e-300, progress=True)
    assert "the gradient was exactly 0 at every step" in capsys.readouterr().out


# ---------------------------------------------------------------- numbers that are not finite
def test_the_last_update_is_checked_and_the_last_finite_checkpoint_stays(tiny, tmp_path):
    broken = {"weight_decay": 1e30, "learning_rate": 1e25, "warmup": 0, "decay": "constant"}
    with pytest.raises(
        DataError, match=r"the weights \(.*\) of step 1 is nan: weight decay 1e\+30"
    ):
        start(tiny, None, steps=1, **broken)
    with pytest.raises(DataError, match="holds no checkpoint"):
        start(tiny, tmp_path, steps=1, **broken)
    assert not (tmp_path / "model").exists()


def break_at(step, monkeypatch, how):
    """The policy's scores of a step (from 1) have `how` done to them, before the loss."""
    count, real = [0], loop.loss_and_metrics

    def broken(config, logps, *args, **kwargs):
        count[0] += 1
        return real(config, how(logps) if count[0] == step else logps, *args, **kwargs)

    monkeypatch.setattr(loop, "loss_and_metrics", broken)


def test_a_loss_of_nan_names_step_cause_and_the_last_good_weights(tiny, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        break_at(4, patch, lambda scores: scores * torch.nan)
        cause = "lower the learning rate, and begin anew with --overwrite or in another folder"
        kept = "the last good weights are in .*checkpoint-00000002"
        with pytest.raises(DataError, match=f"the loss of step 4 is nan: {cause}; {kept}"):
            start(tiny, tmp_path / "cut")
    whole, _ = start(tiny, tmp_path / "whole")
    assert torch.equal(whole, start(tiny, tmp_path / "cut", resume=True)[0])
    start(tiny, tmp_path / "cut", learning_rate=1e-4, overwrite=True)  # the advice can be followed


def test_what_is_not_finite_at_the_first_step_is_no_learning_rate(tiny, monkeypatch):
    with monkeypatch.context() as patch:
        break_at(1, patch, lambda scores: scores * torch.inf)
        with pytest.raises(DataError, match=r"step 1 .*nothing has moved yet"):
            start(tiny, None)
    with pytest.raises(DataError, match=r"step 1 is (nan|inf): beta 1e\+38 is very large"):
        start(tiny, None, beta=1e38, reference=moved(tiny[0]))


def moved(model):
    other = copy.deepcopy(model)
    with torch.no_grad():
        other.transformer.wpe.weight.add_(0.1)
    return other


def test_a_model_with_nan_is_refused_before_the_first_step(tiny, tmp_path):
    broken = copy.deepcopy(tiny[0])
    with torch.no_grad():
        broken.transformer.wpe.weight[3, 5] = torch.nan
    with pytest.raises(ModelError, match=r"starting model: the tensor 'transformer.wpe.weight'"):
        start((broken, tiny[1]), None)


# ---------------------------------------------------------------- damage
def test_flipped_bytes_in_a_checkpoint_are_found(tiny, tmp_path):
    cut_run(tiny, tmp_path)
    state = max(tmp_path.glob("checkpoint-*")) / "state.safetensors"
    content = bytearray(state.read_bytes())
    content[-4000:] = bytes(255 - b for b in content[-4000:])
    state.write_bytes(content)
    with pytest.raises(
        DataError, match=r"checkpoint-00000005 is damaged.*checksum.*checkpoint-00000004"
    ):
        start(tiny, tmp_path, resume=True)


@pytest.mark.parametrize(
    ("gone", "told"),
    [("random_state", "no random state"), ("exp_avg.", "no moments"), ("weight.", "is missing")],
)
def test_a_checkpoint_that_lacks_something_is_one_sentence(tiny, tmp_path, gone, told):
    from safetensors.torch import load_file, save_file

    cut_run(tiny, tmp_path)
    last = max(tmp_path.glob("checkpoint-*"))
    kept = {k: v for k, v in load_file(last / "state.safetensors").items() if gone not in k}
    save_file(kept, last / "state.safetensors")
    (last / "state.json").unlink()  # as older versions wrote it
    with pytest.raises(DataError, match=f"is damaged .*{told}.*delete this folder"):
        start(tiny, tmp_path, resume=True)


@pytest.mark.parametrize("written", ["", "[]", "null", "{}", '{"sha256": 5}', '{"sha256": {}}'])
def test_numbers_beside_a_checkpoint_that_are_not_ours_are_one_sentence(tiny, tmp_path, written):
    cut_run(tiny, tmp_path, step=3)
    (tmp_path / "checkpoint-00000003" / "state.json").write_text(written)
    told = r"checkpoint-00000003 is damaged \(.+\): delete this folder to go on from .*00000002"
    with pytest.raises(DataError, match=told):
        start(tiny, tmp_path, resume=True)


def test_what_lies_beside_checkpoints_or_is_half_written_does_no_harm(tiny, tmp_path):
    whole, history = start(tiny, tmp_path / "whole")
    folder = tmp_path / "run"
    cut_run(tiny, folder)
    (folder / "checkpoint-old").mkdir()
    (folder / "checkpoint-notes.txt").write_text("mine")
    with open(folder / "metrics.jsonl", "a") as file:
        file.write('{"step": 6, "lo')
    from safetensors.torch import load_file, save_file

    scores = load_file(folder / "reference.safetensors")["scores"]
    save_file({"scores": scores[:5].contiguous()}, folder / "reference.safetensors")
    resumed, again = start(tiny, folder, resume=True)
    assert torch.equal(whole, resumed)
    assert again == history
    assert set(names(folder)) == {*names(tmp_path / "whole"), "checkpoint-notes.txt"}


def test_flipped_bytes_in_the_scores_of_the_reference_are_computed_again(tiny, tmp_path):
    whole, _ = start(tiny, tmp_path / "whole")
    cut_run(tiny, tmp_path / "run")
    scores = tmp_path / "run" / "reference.safetensors"
    content = bytearray(scores.read_bytes())
    content[-3] ^= 1
    scores.write_bytes(content)
    assert torch.equal(whole, start(tiny, tmp_path / "run", resume=True)[0])


def test_bco_goes_on_with_its_delta_though_the_metrics_are_lost(tiny, tmp_path, capsys):
    thumbs = world.make_thumbs(20, seed=4)
    whole, history = start(tiny, tmp_path / "whole", rows=thumbs, loss="bco")
    with pytest.raises(KeyboardInterrupt):
        start(tiny, tmp_path / "cut", on_step=stop_after(3), rows=thumbs, loss="bco")
    (tmp_path / "cut" / "metrics.jsonl").unlink()
    resumed, again = start(tiny, tmp_path / "cut", resume=True, rows=thumbs, loss="bco")
    assert torch.equal(whole, resumed)
    assert again == history[3:]
    assert "holds 0 of 3 steps; the others are lost" in capsys.readouterr().out


def test_bco_does_not_go_on_where_its_delta_is_nowhere(tiny, tmp_path):
    thumbs = world.make_thumbs(20, seed=4)
    with pytest.raises(KeyboardInterrupt):
        start(tiny, tmp_path, on_step=stop_after(2), rows=thumbs, loss="bco")
    (tmp_path / "metrics.jsonl").unlink()
    for state in tmp_path.glob("checkpoint-*/state.json"):
        state.unlink()
    with pytest.raises(DataError, match=r"delta .* in neither checkpoint .*--overwrite"):
        start(tiny, tmp_path, resume=True, rows=thumbs, loss="bco")


@pytest.mark.parametrize("content", ["[]", "null", "", "{", None])
def test_a_configuration_that_is_gone_does_not_send_round_in_a_circle(tiny, tmp_path, content):
    cut_run(tiny, tmp_path)
    config = tmp_path / "config.json"
    config.unlink() if content is None else config.write_text(content)
    for more in ({"resume": True}, {}, {"overwrite": True}):
        with pytest.raises(DataError, match=r"no config.json that a run wrote.*--out") as told:
            start(tiny, tmp_path, **more)
        assert "start it without --resume" not in str(told.value)


def test_a_run_killed_while_its_last_checkpoint_went_is_finished(tiny, tmp_path):
    whole, history = start(tiny, tmp_path)
    (tmp_path / "checkpoint-00000006").mkdir()  # its file was deleted, the folder not yet
    resumed, again = start(tiny, tmp_path, resume=True)
    assert torch.equal(whole, resumed)
    assert again == history
    assert not list(tmp_path.glob("checkpoint-*"))


# ---------------------------------------------------------------- failing machines
def test_a_failing_gpu_is_one_sentence_and_the_run_goes_on(tiny, tmp_path, monkeypatch):
    def fail(scores):
        raise RuntimeError("CUDA error: an illegal memory access was encountered\nmore lines")

    with monkeypatch.context() as patch:
        break_at(4, patch, fail)
        told = r"step 4 failed \(CUDA error: an illegal .*encountered\); .*checkpoint-00000002$"
        with pytest.raises(DataError, match=told) as raised:
            start(tiny, tmp_path / "cut")
        assert isinstance(raised.value.__cause__, RuntimeError)
    whole, _ = start(tiny, tmp_path / "whole")
    assert torch.equal(whole, start(tiny, tmp_path / "cut", resume=True)[0])


@pytest.mark.parametrize("options", [{}, {"lora_rank": 2}])
def test_weights_are_safe_before_the_model_is_written(tiny, tmp_path, monkeypatch, options):
    def full(model, tokenizer, folder):
        folder.with_name("model.partial").mkdir()
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(runs, "save_model", full)
        told = r"\(No space left on device\); the last good weights are in .*-00000006: mend that"
        with pytest.raises(DataError, match=told):
            start(tiny, tmp_path / "cut", save_every=0, **options)
    start(tiny, tmp_path / "whole", **options)
    start(tiny, tmp_path / "cut", resume=True, save_every=0, **options)
    assert names(tmp_path / "cut") == names(tmp_path / "whole")
    for name in ("model/model.safetensors", "metrics.jsonl"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_small_files_are_tried_before_the_first_step(tiny, tmp_path):
    class Broken:
        def __getattr__(self, name):
            return getattr(tiny[1], name)

        def __call__(self, *args, **kwargs):
            return tiny[1](*args, **kwargs)

        def save_pretrained(self, folder):
            raise UnicodeEncodeError("charmap", "x", 0, 1, "no such character")

    with pytest.raises(ModelError, match=r"can't be saved to .*model .*no such character"):
        start((tiny[0], Broken()), tmp_path, on_step=lambda *step: pytest.fail("a step was made"))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no limit on the size of files")
def test_under_a_limit_on_the_size_of_files_the_weights_stay_and_resume_writes_the_model(tmp_path):
    """A model of 975 kB where no file may be larger than 600 kB."""
    write_rows(tmp_path / "pairs.jsonl", ROWS[:4])
    train_it = f"{sys.executable} -m dpo_from_scratch train --data pairs.jsonl --out run --steps 2"
    limited = f"ulimit -f 600; {train_it} --batch-size 4"
    found = subprocess.run(
        ["bash", "-c", limited], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert found.returncode == 2
    assert re.search(r"the last good weights are in run/checkpoint-00000002: mend", found.stderr)
    arguments = ["train", "--data", str(tmp_path / "pairs.jsonl"), "--steps", "2", "--batch-size"]
    for folder, more in (("run", ["--resume"]), ("whole", [])):
        assert cli.main([*arguments, "4", "--out", str(tmp_path / folder), *more]) == 0
    one, two = (tmp_path / name / "model" / "model.safetensors" for name in ("run", "whole"))
    assert one.read_bytes() == two.read_bytes()


# ---------------------------------------------------------------- whose folder
def test_what_no_run_made_is_neither_written_over_nor_deleted(tiny, tmp_path):
    (tmp_path / "own" / "model").mkdir(parents=True)
    (tmp_path / "own" / "model" / "thesis.txt").write_text("mine")
    (tmp_path / "link").mkdir()
    (tmp_path / "link" / "model.partial").symlink_to(tmp_path / "own")
    (tmp_path / "file").write_text("mine")
    shutil.copytree(tmp_path / "own" / "model", tmp_path / "hub")
    tiny[0].config.save_pretrained(tmp_path / "hub")  # its config.json is a model's
    (tmp_path / "locked").mkdir()
    (tmp_path / "locked" / "run.lock").symlink_to(tmp_path / "file")
    before = {p: p.read_bytes() for p in files(tmp_path)}
    for name in ("own", "link", "file", "hub", "locked"):
        for overwrite in (False, True):
            with pytest.raises((DataError, ModelError)):
                start(tiny, tmp_path / name, overwrite=overwrite)
    assert before == {p: p.read_bytes() for p in files(tmp_path)}


def test_overwriting_deletes_what_the_run_made_and_no_more(tiny, tmp_path):
    start(tiny, tmp_path)
    (tmp_path / "model" / "thesis.txt").write_text("mine")
    with pytest.raises(ModelError, match=r"thesis\.txt"):
        start(tiny, tmp_path, overwrite=True)
    (tmp_path / "model" / "thesis.txt").rename(tmp_path / "thesis.txt")
    start(tiny, tmp_path, overwrite=True)
    assert (tmp_path / "thesis.txt").read_text() == "mine"


def test_one_process_at_a_time_and_a_dead_one_locks_nobody_out(tiny, tmp_path):
    lock = Lock(tmp_path)
    with pytest.raises(DataError, match="another process is writing to"):
        start(tiny, tmp_path)
    lock.release()
    (tmp_path / "run.lock").touch()  # as a killed process leaves it
    start(tiny, tmp_path)
    assert not (tmp_path / "run.lock").exists()


def test_a_run_that_fails_gives_its_lock_back(tiny, tmp_path):
    cut_run(tiny, tmp_path)
    Lock(tmp_path).release()


def test_a_folder_without_a_name_is_refused(tiny, pairs_file, capsys):
    with pytest.raises(DataError, match="no name"):
        start(tiny, "")
    assert cli.main(["train", "--data", pairs_file, "--out", ""]) == 2
    assert "--out is empty" in capsys.readouterr().err


# ---------------------------------------------------------------- names of runs
@pytest.fixture
def pairs_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_rows("pairs.jsonl", ROWS)
    return "pairs.jsonl"


def test_runs_get_names_of_their_own_and_resume_finds_the_newest_of_equal_settings(
    pairs_file, tmp_path, capsys
):
    def dpo(*more):
        fast = ["--steps", "2", "--batch-size", "4"]
        status = cli.main(["train", "--data", pairs_file, *fast, *more])
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    assert dpo()[1].splitlines()[-1].startswith("the run: runs/tiny-dpo   model:")
    assert dpo("--seed", "1")[1].splitlines()[-1].startswith("the run: runs/tiny-dpo-2 ")
    before = {p: p.read_bytes() for p in files(tmp_path)}
    status, out, _ = dpo("--resume", "--seed", "1")
    assert status == 0
    assert "going on with runs/tiny-dpo-2\n" in out
    assert "runs/tiny-dpo-2 holds this run, finished: nothing is left to do" in out
    status, _, err = dpo("--resume", "--seed", "2")
    assert status == 2
    assert "runs/tiny-dpo: seed was 0 and is 2; runs/tiny-dpo-2: seed was 1 and is 2" in err
    status, _, err = dpo("--out", "runs/tiny-dpo", "--seed", "2")
    assert status == 2
    assert all(word in err for word in ("seed was 0", "--resume", "--overwrite", "--out"))
    assert dpo("--data", "nowhere.jsonl")[0] == 2
    assert before == {p: p.read_bytes() for p in files(tmp_path)}
    assert sorted(os.listdir("runs")) == ["tiny-dpo", "tiny-dpo-2"]
    assert dpo("--out", "runs/tiny-dpo", "--seed", "2", "--overwrite")[0] == 0
    assert json.loads((tmp_path / "runs/tiny-dpo/config.json").read_text())["seed"] == 2


def test_names_that_are_free_are_taken_at_one_stroke(tmp_path):
    assert [next_free(tmp_path / "runs" / "a").name for _ in range(3)] == ["a", "a-2", "a-3"]
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="can't write a run to"):
        next_free(tmp_path / "file" / "a")


# ---------------------------------------------------------------- starting
def test_only_the_rows_that_will_be_picked_are_tokenised_and_scored(tiny, monkeypatch):
    seen, real = [], batches.encode_each

    def watched(tokenizer, rows, *more, **options):
        return real(tokenizer, (seen.append(i) or (i, row) for i, row in rows), *more, **options)

    monkeypatch.setattr(batches, "encode_each", watched)
    rows = world.make_pairs(100, seed=2)
    config = TrainConfig(**FAST | {"steps": 2})
    train(copy.deepcopy(tiny[0]), tiny[1], rows, config, progress=False)
    picked = {int(i) + 1 for step in range(2) for i in pick_rows(step, 100, config)}
    assert seen == sorted(picked)
    seen.clear()
    everything = TrainConfig(**PRESETS["tiny"] | FAST | {"steps": 2})
    assert everything.score_all
    train(copy.deepcopy(tiny[0]), tiny[1], rows, everything, progress=False)
    assert seen == list(range(1, 101))


@pytest.mark.parametrize("options", [{}, {"skip_bad": True}, {"loss": "kto"}])
def test_scored_alone_or_with_all_others_a_row_trains_the_same(tiny, options):
    model = copy.deepcopy(tiny[0]).double()
    rows = world.make_pairs(60, seed=2)
    some, everything = (
        start((model, tiny[1]), None, rows=rows, score_all=s, **options)[1] for s in (False, True)
    )
    for a, b in zip(some, everything, strict=True):
        assert a["loss"] == pytest.approx(b["loss"], abs=1e-9)


def test_a_run_that_picks_few_rows_goes_on_exactly(tiny, tmp_path):
    rows = world.make_pairs(300, seed=2)
    whole, _ = start(tiny, tmp_path / "whole", rows=rows)
    cut_run(tiny, tmp_path / "cut", rows=rows)
    assert torch.equal(whole, start(tiny, tmp_path / "cut", rows=rows, resume=True)[0])


def test_ktos_mixtures_of_long_prompts_and_long_responses_fit_the_model(tiny):
    long = "film : how was the plot ? " * 7
    rows = [
        {"prompt": long, "completion": "it was good .", "label": True},
        {"prompt": "film : how was the plot ?", "completion": "good " * 50, "label": False},
    ]
    _, history = start(tiny, None, rows=rows * 4, loss="kto")
    assert all(row["kl"] >= 0 for row in history)


# ---------------------------------------------------------------- killed in the middle of a file
CUT = """
import resource, signal, sys
from pathlib import Path
from dpo_from_scratch.models import load_model
from dpo_from_scratch.saving import save_model
from test_runs import start

tiny = load_model("tiny")
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # Python makes an error of it; a kill is wanted
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
folder = Path(sys.argv[2])
save_model(*tiny, folder) if sys.argv[1] == "save" else start(tiny, folder)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="no limit on the size of files here")
@pytest.mark.parametrize("what", ["save", "train"])
def test_a_file_that_a_killed_process_left_half_written_is_no_stranger(what, tiny, tmp_path):
    where = {**os.environ, "PYTHONPATH": os.pathsep.join([os.path.dirname(__file__), *sys.path])}
    left = subprocess.run([sys.executable, "-c", CUT, what, tmp_path / "cut"], env=where)
    assert left.returncode == -signal.SIGXFSZ
    if what == "save":
        save_model(*tiny, tmp_path / "cut")
        save_model(*tiny, tmp_path / "whole")
    else:
        # not writing the same checkpoint again, which would clear the place
        start(tiny, tmp_path / "cut", resume=True, save_every=0)
        start(tiny, tmp_path / "whole")
    assert names(tmp_path / "cut") == names(tmp_path / "whole")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["cut", "whole"]
