"""Memory before the run: what is counted is what autograd saves, and what is said helps."""

import copy

import pytest
import torch
from conftest import random_gpt2
from transformers import LlamaConfig, LlamaForCausalLM

from dpo_from_scratch import cli, world
from dpo_from_scratch.data import DataError, write_rows
from dpo_from_scratch.fast import FastScorer, lay_out, reach_of
from dpo_from_scratch.fast.scorer import as_bias, hidden_states
from dpo_from_scratch.training import TrainConfig, memory, train
from dpo_from_scratch.training.batches import prepare
from dpo_from_scratch.training.lora import add_lora
from dpo_from_scratch.training.machine import groups, memory_of
from dpo_from_scratch.training.played import Living, Rows, play, played

ROWS = world.make_pairs(24, seed=5)
SETTINGS = {"beta": 0.6, "learning_rate": 1e-3, "steps": 2, "batch_size": 8, "warmup": 1}
MB = 10**6


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    """Models of these tests are smaller than what is loaded on the way."""
    monkeypatch.setattr(memory, "LIBRARIES", 0)


def random_llama():
    torch.manual_seed(0)
    shape = {"hidden_size": 64, "intermediate_size": 176, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 8, "num_key_value_heads": 2, "vocab_size": 100}
    return LlamaForCausalLM(LlamaConfig(**shape, **heads)).eval()


def saved(model, rows, width):
    """Bytes that autograd saves of the layers, weights apart."""
    own = {id(p.untyped_storage()) for p in model.parameters()}
    found = {}

    def pack(tensor):
        if id(tensor.untyped_storage()) not in own:
            found[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage()
        return tensor

    ids = torch.zeros(rows, width, dtype=torch.long)
    sees = torch.ones(rows, width, width, dtype=torch.bool).tril()
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        hidden = hidden_states(model, ids, as_bias(sees, model), ids)
    return sum(storage.nbytes() for storage in found.values()), hidden


def by_formula(model, rows, width):
    """The same, from the shapes: floats for each token in a layer, and what comes once."""
    c = model.config
    d, heads, layers = c.hidden_size, c.num_attention_heads, c.num_hidden_layers
    if c.model_type == "gpt2":
        token, once = layers * (28 * d + heads + 4) + d + 2, 8 * rows * width
    else:
        layer = 10 * d + 4 * c.intermediate_size + heads + 2
        token, once = layers * layer + 2 * d + 1, 8 * rows * width * (1 + c.head_dim)
    return 4 * token * rows * width + once + 4 * rows * width**2


@pytest.mark.parametrize("make", [random_llama, random_gpt2])
@pytest.mark.parametrize("shape", [(1, 16), (2, 48)])
def test_what_autograd_saves_is_what_the_formula_says(make, shape):
    model = make()
    assert saved(model, *shape)[0] == by_formula(model, *shape)


@pytest.mark.parametrize("make", [random_llama, random_gpt2])
@pytest.mark.parametrize("options", [{}, {"lora_rank": 4}, {"precision": "bf16"}], ids=str)
def test_a_played_step_lives_on_as_many_bytes_as_a_real_one(make, options):
    model, config = make(), TrainConfig(**SETTINGS | options)
    ids, response = torch.randint(2, 90, (2, 40)), torch.arange(40).expand(2, 40) >= 20
    batch = (ids, torch.ones_like(ids), response)
    layout = lay_out(*batch, reach=reach_of(model))
    with played(model, config.lora_rank) as twin:
        told = play(twin, Rows(*layout.input_ids.shape, 40), config)
    model = add_lora(model, config.lora_rank) if config.lora_rank else model
    scorer, real = FastScorer(model), Living(model)
    with real, torch.autocast("cpu", torch.bfloat16, enabled=config.precision == "bf16"):
        scorer(*batch).sum().backward()
    assert told.at_most.total() == pytest.approx(real.at_most.total(), rel=0.05)


def needed(tiny, **options):
    config = TrainConfig(**SETTINGS | options)
    data = prepare(tiny[1], ROWS, config, tiny[0])
    return memory.memory_needed(tiny[0], data, config)


def test_the_tables_parts_are_those_of_the_run(tiny):
    weights = memory.bytes_of(tiny[0].parameters())
    step = needed(tiny).moments["a step"]
    assert step["weights"] == weights == step["optimizer"] / 2
    adapted = needed(tiny, lora_rank=2).moments["a step"]
    assert adapted["optimizer"] / 2 == adapted["weights"] - weights
    assert needed(tiny, live_reference=True).moments["a step"]["reference"] == weights
    assert "scoring" not in needed(tiny, loss="simpo").moments
    saving = needed(tiny, save_every=1).moments["a checkpoint"]
    assert saving["copies"] == 3 * weights
    table = str(needed(tiny))
    assert [line.split()[0] for line in table.splitlines()][:3] == ["MB", "weights", "optimizer"]


def test_parts_of_a_batch_and_the_fast_path_take_less(tiny):
    take = lambda **options: needed(tiny, **options).moments["a step"]
    assert take(accumulation=4)["activations"] < 0.6 * take()["activations"]
    assert take()["activations"] < 0.8 * take(plain=True)["activations"]
    assert take(precision="bf16")["activations"] < take()["activations"]


def faked(monkeypatch, total, free=None):
    found = (int(total), int(total if free is None else free))
    monkeypatch.setattr(memory, "memory_of", lambda device: found)


def test_a_run_larger_than_the_machine_is_refused_and_the_setting_named_fits(
    tiny, tmp_path, monkeypatch
):
    total = 0.9 * needed(tiny).total
    faked(monkeypatch, total)
    config = TrainConfig(**SETTINGS)
    with pytest.raises(DataError, match=r"--accumulation (\d+) would take") as found:
        train(copy.deepcopy(tiny[0]), tiny[1], ROWS, config, tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()
    parts = int(str(found.value).split("--accumulation ")[1].split()[0])
    assert needed(tiny, accumulation=parts).total <= total
    assert needed(tiny, accumulation=parts // 2).total > total
    trained = copy.deepcopy(tiny[0])
    assert train(trained, tiny[1], ROWS, config, tmp_path / "run", progress=False, force=True)


def test_what_is_named_is_the_mildest_change_that_fits(tiny, monkeypatch):
    config, both = TrainConfig(**SETTINGS), "accumulation {} lora_rank 8".format
    data = prepare(tiny[1], ROWS, config, tiny[0])
    named = lambda total: memory.what_fits(tiny[0], data, config, None, True, int(total))
    least = needed(tiny, accumulation=8).total
    assert named(least).startswith("--accumulation 8 would take")
    told = [
        " ".join(f"{k} {v}" for k, v in change.items())
        for change, _ in memory.changes(config, data)
    ]
    assert told[:5] == [*(f"accumulation {n}" for n in (2, 4, 8)), "lora_rank 8", both(2)]
    assert told[-1] == both(8), "half of the longest row is no room for its response"
    asks = [{"prompt": r["prompt"] * 4, "chosen": "good .", "rejected": "bad ."} for r in ROWS]
    *_, (last, shorter) = memory.changes(config, prepare(tiny[1], asks, config, tiny[0]))
    longest = max(len(e.ids) for row in shorter.examples.values() for e in row)
    assert longest == last["max_length"]
    assert named(1000) == "no setting makes it fit, so take a smaller model"


def test_what_is_more_than_is_free_is_said_and_the_run_goes_on(tiny, capsys, monkeypatch):
    need = needed(tiny).total
    faked(monkeypatch, 100 * need, 0.2 * need)
    train(copy.deepcopy(tiny[0]), tiny[1], ROWS, TrainConfig(**SETTINGS))
    assert "this run needs about" in capsys.readouterr().out


def test_nothing_is_said_of_a_small_run_nor_where_nothing_is_known(tiny, monkeypatch):
    config = TrainConfig(**SETTINGS)
    data = prepare(tiny[1], ROWS, config, tiny[0])
    look = lambda: memory.look_at_memory(tiny[0], data, config, None, None, False)
    monkeypatch.setattr(memory, "memory_needed", lambda *a: pytest.fail("looked closer"))
    faked(monkeypatch, 2**33)
    assert look() == []
    monkeypatch.setattr(memory, "memory_of", lambda device: (None, None))
    assert look() == []


def test_the_formula_that_spares_the_count_is_never_below_it(tiny):
    for options in ({}, {"plain": True}, {"live_reference": True}, {"save_every": 1}):
        config = TrainConfig(**SETTINGS | options)
        data = prepare(tiny[1], ROWS, config, tiny[0])
        most = memory.most_needed(tiny[0], data, config, None)
        assert most > memory.memory_needed(tiny[0], data, config).total


def test_the_command_prints_the_table_refuses_and_is_forced(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_rows("pairs.jsonl", ROWS)
    command = ["train", "--data", "pairs.jsonl", "--steps", "2", "--batch-size", "8"]
    assert cli.main([*command, "--dry-run"]) == 0
    assert "activations" in capsys.readouterr().out
    faked(monkeypatch, 4 * MB)
    assert cli.main(command) == 2
    told = capsys.readouterr().err
    assert "this machine has 0.004 GB" in told
    assert "--force" in told
    assert len(told.splitlines()) == 1
    assert not list(tmp_path.glob("runs/*"))
    assert cli.main([*command, "--force"]) == 0
    assert (tmp_path / "runs" / "tiny-dpo" / "model").is_dir()


# ---------------------------------------------------------------- the machine
def group(folder, limit, used, cached, names):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / names[0]).write_text(f"{limit}\n")
    (folder / names[1]).write_text(f"{used}\n")
    (folder / "memory.stat").write_text("".join(f"{k} {v}\n" for k, v in cached.items()))


def test_the_limits_of_control_groups_are_found(tmp_path):
    names = ("memory.max", "memory.current")
    group(tmp_path / "a" / "b", 500, 200, {"inactive_file": 50, "active_file": 10}, names)
    group(tmp_path / "a", "max", 200, {}, names)
    (tmp_path / "own").write_text("0::/a/b\n")
    assert list(groups(str(tmp_path), str(tmp_path / "own"))) == [(500, 360)]
    old = ("memory.limit_in_bytes", "memory.usage_in_bytes")
    group(tmp_path / "memory" / "a", 900, 300, {"total_cache": 100}, old)
    group(tmp_path / "memory", 2**63 - 4096, 300, {}, old)
    (tmp_path / "own").write_text("4:memory:/a\n3:cpu:/\n")
    assert list(groups(str(tmp_path), str(tmp_path / "own"))) == [(900, 700)]
    assert not list(groups(str(tmp_path), str(tmp_path / "none")))


def test_this_machine_has_more_than_is_free():
    total, free = memory_of(torch.device("cpu"))
    assert total > free > 0
    assert memory_of(torch.device("meta")) == (None, None)
