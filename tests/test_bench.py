"""The benchmark: what it counts, how it plans, and that README's table is its record."""

import json
import re
from pathlib import Path

import pytest
import torch
from conftest import random_gpt2, random_llama
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import __main__ as bench
from benchmarks import gpu, report, stats
from benchmarks.flops import Work, matmul_peak, matrices, step_flops
from benchmarks.part import figures, fitting, most_memory
from benchmarks.sides import SIDES, build
from benchmarks.texts import SHAPES, rows_of
from benchmarks.trials import kind_of, ways_of
from dpo_from_scratch.lab.records import made_by
from dpo_from_scratch.models import load_model
from dpo_from_scratch.tokens import Example

ROOT = Path(__file__).parent.parent
RECORD = json.loads((ROOT / "benchmarks" / "results" / "cpu.json").read_text(encoding="utf-8"))
SMALL = {"gpt2": random_gpt2, "llama": random_llama}
PAIR = [Example((1, 2, 3, 4, 5), 3), Example((1, 2, 3, 6, 7, 8), 3)]  # prompt 3, responses 2 and 3


def test_a_shared_prompt_is_counted_once():
    """Read: 3 + 1 + 2, as a response's last token is only predicted. Who looks at whom: the prompt
    1 + 2 + 3, the first response 3 + 1, the second 2 * 3 + 1 + 2.
    """
    assert Work.of(PAIR) == Work(tokens=6, looks=6 + 4 + 9, scored=5)


def test_texts_with_other_prompts_share_nothing():
    apart = [PAIR[0], Example((9, 2, 3, 6, 7, 8), 3)]
    assert Work.of(apart) == Work(tokens=4 + 5, looks=(6 + 4) + (6 + 9), scored=5)


def test_padded_rows_are_counted_as_they_are_computed():
    assert Work.padded(PAIR) == Work(tokens=12, looks=2 * 21, scored=12)


@pytest.mark.parametrize(
    ("shape", "layer"),
    [
        ("gpt2", 32 * 96 + 32 * 32 + 2 * 32 * 128),  # q, k, v; out; up and down
        ("llama", 2 * 32 * 32 + 2 * 32 * 16 + 3 * 32 * 64),  # q, out; k, v; gate, up, down
    ],
)
def test_flops_of_a_step_are_those_counted_by_hand(shape, layer):
    model = SMALL[shape]()  # two layers, width 32, 160 words
    assert matrices(model) == 2 * layer
    forward = 2 * 2 * layer * 6 + 2 * 4 * 32 * 19 + 2 * 32 * 160 * 5
    assert step_flops(model, Work.of(PAIR)) == 3 * forward


def test_flops_are_those_that_pytorch_counts_where_nothing_is_saved():
    """One row without padding, read whole and scored whole, through eager attention: the same, but
    for what attention computes of the future.
    """
    model = random_llama()
    model.set_attn_implementation("eager")
    ids = torch.arange(1, 21).unsqueeze(0)
    with FlopCounterMode(display=False) as counter:
        model(ids).logits.sum().backward()
    assert counter.get_total_flops() == step_flops(model, Work(20, 20 * 20, 20))


def test_the_peak_is_a_rate_of_products():
    assert 1e7 < matmul_peak(torch.float32, seconds=0.02) < 1e14


def test_ratios_are_geometric_with_an_interval():
    found = stats.ratio([2.0, 8.0], [1.0, 2.0])
    assert found["ratio"] == pytest.approx(8**0.5)
    assert found["low"] < found["ratio"] < found["high"]
    assert found["low"] * found["high"] == pytest.approx(8)  # symmetric in the logarithm
    same = stats.ratio([3.0, 3.0, 3.0], [1.0, 1.0, 1.0])
    assert same["low"] == pytest.approx(3) == pytest.approx(same["high"])


def test_sides_that_compute_another_loss_are_refused():
    ours = {"fast": [0.7, 0.6, 0.5, 0.1], "TRL, default": [0.7, 0.6, 0.50005, 0.9]}
    assert stats.losses_agree(ours, "no") == pytest.approx(5e-5)
    with pytest.raises(ValueError, match="do not compute the same"):
        stats.losses_agree(ours | {"TRL, fastest": [0.7, 0.6, 0.502]}, "no")
    with pytest.raises(ValueError, match="do not compute the same"):
        stats.losses_agree(ours | {"TRL, fastest": [0.7, float("nan"), 0.5]}, "no")
    assert stats.losses_agree(ours | {"TRL, fastest": [0.7, 0.6, 0.502]}, "bf16") < 5e-2


# ---------------------------------------------------------------- the plan
def test_rows_have_the_lengths_of_their_shape():
    for name, shape in SHAPES.items():
        rows = rows_of(shape, 1, 4)
        assert len(rows) == 4, name
        for row in rows:
            low, high = shape.prompt
            assert low <= len(row["prompt"].split()) <= high
            low, high = shape.response
            assert low <= len(row["chosen"].split()) <= high
        assert len({row["prompt"] for row in rows}) == (1 if shape.one_prompt else 4), name
        assert rows == rows_of(shape, 1, 4)


def test_a_shape_gets_shorter_until_it_fits():
    part = {"model": "tiny", "shape": "short", "pairs": 4, "steps": 7, "rate": 1e9}
    assert fitting(part) == part
    assert fitting(part | {"allowed": 1e9})["shorter"] == 1.0
    some, less = (fitting(part | {"allowed": seconds})["shorter"] for seconds in (20, 5))
    assert 0.05 < less < some < 1.0


def test_bf16_is_left_out_where_its_products_are_slower_and_the_record_says_why():
    kept, why = bench.precisions_of({"no": 1e10, "bf16": 4e10})
    assert kept == {"tiny": ("no", "bf16"), "smollm2": ("no", "bf16")}
    assert not why
    kept, why = bench.precisions_of({"no": 6e10, "bf16": 1e9})
    assert kept["smollm2"] == ("no",)
    assert "no instructions" in why
    assert "1 GFLOP/s in bf16, 60 in float32" in why


def test_the_plan_has_all_shapes_and_sizes_and_seven_steps_at_least():
    both = {"tiny": ("no", "bf16"), "smollm2": ("no", "bf16")}
    found = bench.parts(both, quick=False)
    steps = {bench.key_of(p): p["steps"] for p in found if p["kind"] == "paired"}
    assert len(steps) == 2 * (3 + 4)
    assert min(steps.values()) >= 7
    assert {p["pairs"] for p in found if p["model"] == "tiny"} == {1, 4, 8, 32}
    assert len({bench.key_of(p) for p in found}) == len(found)
    assert len(bench.parts(both, quick=True)) < len(found) / 2


def test_what_is_left_of_the_time_is_shared_by_the_shapes_to_come():
    record = {"parts": {}}
    part = {"kind": "paired", "steps": 7, "model": "smollm2", "shape": "long prompt", "pairs": 4}
    part["precision"] = "no"
    assert bench.limits(part, record, 900, 2, 6e10) == {"allowed": 297.0, "rate": 2e10}
    record["parts"]["a"] = {"part": part, "result": {"rate": 5e10, "shorter": 0.4}}
    assert bench.limits(part, record, 900, 1, 6e10)["rate"] == 5e10
    assert bench.shortened(part, record) == {"shorter": 0.4}
    assert bench.limits(part | {"model": "tiny"}, record, 900, 1, 6e10) == {}


def test_a_run_goes_on_where_it_was_stopped(tmp_path, monkeypatch):
    path, made = tmp_path / "some.json", []
    monkeypatch.setattr(bench, "run", lambda part, limit: made.append(part) or {"shorter": 1.0})
    record = {"peaks": {"no": 2.0, "bf16": 1.0}, "threads": torch.get_num_threads(), "parts": {}}
    record["cpu"] = made_by()["cpu"]
    everything = len(bench.parts(bench.precisions_of(record["peaks"])[0], quick=True))
    bench.measure(record, path, quick=True, minutes=0.1)
    assert not made, "less than twenty seconds are left: nothing is begun"
    bench.measure(record, path, quick=True, minutes=5)
    assert len(made) == everything
    bench.measure(bench.begin(path, None), path, quick=True, minutes=5)
    assert len(made) == everything
    anew = [p for p in made if "kind memory" in bench.key_of(p)]
    bench.measure(bench.begin(path, "kind memory"), path, quick=True, minutes=5)
    assert made[everything:] == anew
    path.write_text(json.dumps(record | {"threads": 99}), encoding="utf-8")
    with pytest.raises(SystemExit, match=r"made with 99 threads.*OMP_NUM_THREADS=99"):
        bench.begin(path, None)
    path.write_text(json.dumps(record | {"cpu": "another"}), encoding="utf-8")
    with pytest.raises(SystemExit, match=r"another processor, another: give --out FILE.*--again"):
        bench.begin(path, None)


def test_measuring_anew_drops_no_part_that_is_not_measured(tmp_path):
    path, keys = tmp_path / "cpu.json", ["memory of smollm2", "memory of tiny", "time of tiny"]
    record = {"cpu": made_by()["cpu"], "threads": torch.get_num_threads()}
    path.write_text(json.dumps(record | {"parts": {key: {} for key in keys}}), encoding="utf-8")
    assert list(bench.begin(path, "memory", "tiny")["parts"]) == [keys[0], keys[2]]
    assert list(bench.begin(path, "memory")["parts"]) == [keys[2]]
    assert list(bench.begin(path, None, "tiny")["parts"]) == keys


def test_ways_that_differ_in_the_flag_alone_are_left_out_where_it_is_the_same():
    model, before = random_gpt2(), torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("highest")
        few = list(ways_of(model))
        torch.set_float32_matmul_precision("medium")
        more = [way for way in ways_of(model) if way not in few]
        assert more == ["plain, exact products", "all, without exact products"]
    finally:
        torch.set_float32_matmul_precision(before)


# ---------------------------------------------------------------- the sides
def test_the_fast_side_makes_the_step_that_the_plain_one_makes():
    rows = rows_of(None, 4, 4)
    fast, plain = (build(side, "tiny", rows, 4, "no", None) for side in ("fast", "plain"))
    for _ in range(4):
        assert fast.step() == pytest.approx(plain.step(), abs=2e-6)


def test_figures_count_the_steps_after_the_first():
    ours = build("fast", "tiny", rows_of(None, 3, 4), 4, "no", None)
    seconds = {"fast": [9.0, 1.0, 1.0], "TRL, default": [9.0, 2.0, 2.0]}
    found = figures(ours, seconds, seconds, peak=1e12)
    tokens = sum(len(text.ids) for step in (1, 2) for text in ours.texts(step))
    assert found["sides"]["fast"]["tokens_a_second"] == tokens / 2
    assert found["sides"]["TRL, default"]["times_as_long"]["ratio"] == pytest.approx(2)
    assert found["sides"]["fast"]["mfu"] == pytest.approx(found["flops_a_step"] / 1e12)


@pytest.mark.filterwarnings("ignore")
def test_trl_makes_its_own_steps_one_at_a_time_and_they_are_ours(tmp_path):
    pytest.importorskip("trl", reason="make trl installs TRL")
    rows = rows_of(None, 4, 4)
    sides = {name: build(name, "tiny", rows, 4, "no", tmp_path) for name in SIDES}
    lost = {name: [side.step() for _ in range(3)] for name, side in sides.items()}
    for side in sides.values():
        side.close()
    assert sides["TRL, default"].trainer.state.global_step == 3
    assert sides["TRL, default"].trainer.args.gradient_checkpointing
    assert not sides["TRL, fastest"].trainer.args.gradient_checkpointing
    assert "fused" in sides["TRL, fastest"].trainer.args.optim
    assert abs(lost["fast"][2] - lost["fast"][0]) > 1e-3, "the losses must move to be compared"
    assert stats.losses_agree(lost, "no") < 1e-5


def test_memory_is_the_most_that_this_process_had():
    before = most_memory()
    held = torch.ones(60_000_000)
    assert most_memory() >= before
    assert most_memory() > held.numel() * 4


def test_work_is_told_apart_by_name():
    assert kind_of(["aten::mm", "_HeadLogpsBackward"]) == "head"
    assert kind_of(["aten::mm", "MmBackward0"]) == "matrices"
    assert kind_of(["aten::_fused_adamw_", "Optimizer.step#ClippingAdamW.step"]) == "optimizer"
    assert kind_of(["aten::_scaled_dot_product_flash_attention_for_cpu"]) == "attention"
    assert kind_of(["aten::silu"]) == "norms and activations"
    assert kind_of(["aten::copy_"]) == "the rest"


# ---------------------------------------------------------------- the record and README
def test_the_record_is_whole():
    assert RECORD["versions"]["trl"]
    for case in report.cases(RECORD):
        steps = case["part"]["steps"]
        assert steps >= 7
        result = case["result"]
        assert result["loss_difference"] <= {"no": 1e-4, "bf16": 5e-2}[case["part"]["precision"]]
        for name, side in result["sides"].items():
            assert len(side["seconds"]) == steps
            if name != "fast":
                again = stats.ratio(side["seconds"], result["sides"]["fast"]["seconds"])
                assert again == pytest.approx(side["times_as_long"])


def test_the_readmes_table_is_the_record():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert report.MARK.search(readme)[0] == "\n".join(
        ["<!-- bench -->", report.table(RECORD).rstrip("\n"), "<!-- /bench -->"]
    )
    assert len(report.table(RECORD).splitlines()) - 2 == len(report.cases(RECORD))


def test_a_shape_that_was_made_shorter_says_so():
    part = {"model": "smollm2", "shape": "long prompt", "pairs": 4, "precision": "bf16"}
    result = {"tokens_a_step": 1234.5, "shorter": 0.25}
    whole = report._name(part, result | {"shorter": 1.0})
    assert whole == "SmolLM2, 4 pairs, long prompt (1,234 tokens), bf16"
    assert "long prompt at 25% of its lengths (1,234 tokens)" in report._name(part, result)


def test_a_table_is_put_between_its_marks(tmp_path):
    page = tmp_path / "README.md"
    page.write_text("before\n<!-- bench -->\nold\n<!-- /bench -->\nafter\n")
    report.into_readme(page, RECORD)
    report.into_readme(page, RECORD)
    text = page.read_text()
    assert text.startswith("before\n<!-- bench -->\n| a step of")
    assert text.endswith("|\n<!-- /bench -->\nafter\n")
    assert "old" not in text
    page.write_text("no marks")
    with pytest.raises(ValueError, match="no marks"):
        report.into_readme(page, RECORD)


def test_the_benchmarks_page_names_what_is_there():
    page = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")
    for name in re.findall(r"`(\w+\.py)`", page):
        assert (ROOT / "benchmarks" / name).is_file(), name
    assert load_model("tiny")[0].config.n_layer == 2


def test_the_gpus_record_says_whether_it_was_measured():
    record = json.loads((ROOT / "benchmarks" / "results" / "gpu.json").read_text(encoding="utf-8"))
    assert bool(record["parts"]) == (record["state"] != "wants a GPU")
    assert gpu.told(record).startswith(f"{record['title']}: {record['state']}")
    assert {part["device"] for part in gpu.parts(rehearse=True)} == {"cpu"}
    assert {part["pairs"] for part in gpu.parts(rehearse=False)} == {8, 32, 128}
