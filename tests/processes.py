"""Every loss in 1, 2 and 4 processes, and with weights in slices, against one process alone.

`python tests/processes.py` starts each launch by torchrun, goes through all losses in it, and
prints how far the weights are from those of one process; the exit status says whether all are
near enough. A launch is this file too: `torchrun tests/processes.py FOLDER WHICH`.

In float64 each tensor must agree within 1e-10 of its norm. In float32 all weights together within
1e-4, and log-probabilities of rows held out within 1e-3 nats. Key biases are left out there: no
loss depends on them, and AdamW makes steps of a learning rate's length out of rounding noise.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from transformers import GPT2Config, GPT2LMHeadModel

from dpo_from_scratch import world
from dpo_from_scratch.losses import LOSSES
from dpo_from_scratch.models import Scorer, pad_id
from dpo_from_scratch.processes import several
from dpo_from_scratch.processes.group import here, join, leave
from dpo_from_scratch.scoring import score_examples
from dpo_from_scratch.tokens import encode_rows
from dpo_from_scratch.training import TrainConfig, start, train
from dpo_from_scratch.world.tiny import review_tokenizer

# 7 rows a step, of 10: no number of processes divides that, and steps cross the end of an epoch
SETTINGS = {"steps": 20, "batch_size": 7, "accumulation": 2, "learning_rate": 1e-3, "warmup": 2}
DTYPES = {"float64": torch.float64, "float32": torch.float32}
WIDTH, LAYERS = 32, 2
ROOT = Path(__file__).parent.parent


def small_model(dtype: torch.dtype) -> nn.Module:
    """A GPT-2 with weights that are the same everywhere."""
    tokenizer = review_tokenizer()
    ids = dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id"), tokenizer.eos_token_id)
    shape = {"n_embd": WIDTH, "n_layer": LAYERS, "n_head": 2, "n_positions": 128}
    torch.manual_seed(1)
    return GPT2LMHeadModel(GPT2Config(vocab_size=len(tokenizer), **shape, **ids)).to(dtype).eval()


def cases() -> dict[str, dict]:
    """Every loss on the fast path, and what else there is to set, by name."""
    out = {loss: {"loss": loss} for loss in LOSSES}
    for loss in ("dpo", "kto", "aot", "bco"):
        out[f"{loss} plain"] = {"loss": loss, "plain": True, "max_grad_norm": 0.1}
        out[f"{loss} live"] = {"loss": loss, "live_reference": True}
        out[f"{loss} lora"] = {"loss": loss, "lora_rank": 4, "learning_rate": 1e-2}
    out["dpo clipped"] = {"loss": "dpo", "max_grad_norm": 0.1}
    # of four processes one has no row at all
    out["kto of three rows"] = {"loss": "kto", "batch_size": 3, "plain": True}
    out["aot of three rows"] = {"loss": "aot", "batch_size": 3}
    out["dpo live lora plain"] = out["dpo live"] | out["dpo lora"] | {"plain": True}
    for settings in out.values():
        # the fast path's optimizer clips by a norm in float32, PyTorch's, for slices, in float64
        settings.setdefault("max_grad_norm", 1e6)
        settings |= {"accumulation": 1} if settings["loss"] == "aot" else {}
    return out


def trained(case: str, dtype: str, **more) -> tuple[nn.Module, list[dict]]:
    """The model after a case's run, and the metrics of its steps."""
    model = small_model(DTYPES[dtype])
    config = TrainConfig(**SETTINGS | cases()[case] | more)
    rows, needs = world.make_pairs(10, seed=3), LOSSES[config.loss].needs
    if needs == "labels":
        rows = world.make_thumbs(10, seed=3)
    if needs == "texts":
        rows = [{"prompt": row["prompt"], "completion": row["chosen"]} for row in rows]
    return model, train(model, review_tokenizer(), rows, config, progress=False)


def weights(model: nn.Module) -> dict[str, Tensor]:
    """By name, but for the head, which is the embedding."""
    return {name: p.detach().clone() for name, p in model.named_parameters()}


def launched(folder: Path, which: list[str], **more) -> None:
    """What a launch does: all cases, in both types; the first process writes."""
    join()
    if more.get("shard"):
        start.prepared = all_sliced(start.prepared)
    for name in which:
        for dtype in DTYPES:
            model, history = trained(name, dtype, **more)
            assert len(history) == (SETTINGS | more)["steps"]
            if here().first:
                save_file(weights(model), folder / f"{name} {dtype}.safetensors")
                text = json.dumps(history)
                (folder / f"{name} {dtype}.json").write_text(text, encoding="utf-8")
    leave()


def all_sliced(prepared):
    """`start.prepared`, and every weight that it gives is a slice: else it would be DDP."""

    def checked(*given):
        found = prepared(*given)
        assert all(isinstance(p, DTensor) for p in found[0].parameters())
        return found

    return checked


def differences(alone: Path, other: Path, name: str) -> dict[str, float]:
    """How far a case of another launch is from the one of a single process."""
    out = {}
    for dtype in DTYPES:
        a, b = (load_file(folder / f"{name} {dtype}.safetensors") for folder in (alone, other))
        a, b = ({k: no_keys(k, t) for k, t in found.items()} for found in (a, b))
        if dtype == "float64":
            out["worst tensor"] = max(float((a[k] - b[k]).norm() / (a[k].norm() or 1)) for k in a)
            continue
        flat = [torch.cat([t.flatten() for t in found.values()]).double() for found in (a, b)]
        out["all weights"] = float((flat[0] - flat[1]).norm() / flat[0].norm())
        out["nats"] = float((held_out(a) - held_out(b)).abs().max())
    return out


def no_keys(name: str, tensor: Tensor) -> Tensor:
    """Without the bias of the keys, which is noise."""
    tensor = tensor.clone()
    if name.endswith("attn.c_attn.bias"):
        tensor[WIDTH : 2 * WIDTH] = 0
    return tensor


def held_out(found: dict[str, Tensor]) -> Tensor:
    """Log-probabilities of responses that were not trained on."""
    model, tokenizer = small_model(torch.float32), review_tokenizer()
    model.load_state_dict(found, strict=False)
    examples, _ = encode_rows(tokenizer, world.make_pairs(16, seed=99))
    return score_examples(Scorer(model), [e for row in examples for e in row], pad_id(tokenizer))


LIMITS = {"worst tensor": 1e-10, "all weights": 1e-4, "nats": 1e-3}
LAUNCHES = {  # name -> processes, whether weights lie in slices
    "DDP, 1 process": (1, False),
    "DDP, 2 processes": (2, False),
    "DDP, 4 processes": (4, False),
    "FSDP2, 2 processes": (2, True),
}
SLICED = ["dpo", "kto", "aot", "sft", "kto live", "dpo lora", "dpo plain", "aot of three rows"]


def launch(folder: Path, processes: int, which: list[str], *more: str) -> None:
    """Start one, and wait for its end."""
    folder.mkdir()
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    begin = [*torchrun, "--nproc-per-node", str(processes)] if processes else [sys.executable]
    command = [*begin, __file__, str(folder), json.dumps(which), *more]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run(command, check=True, timeout=1800, env=env)


def main() -> int:
    """All launches; 1 where one is too far off."""
    worst = dict.fromkeys(LIMITS, 0.0)
    with tempfile.TemporaryDirectory() as place:
        alone, bad = Path(place) / "alone", 0
        launch(alone, 0, list(cases()))
        for number, (title, (processes, shard)) in enumerate(LAUNCHES.items()):
            which, begun = SLICED if shard else list(cases()), time.monotonic()
            folder = Path(place) / str(number)
            launch(folder, processes, which, *(["--shard"] if shard else []))
            worst = dict.fromkeys(LIMITS, ("", 0.0))
            for name in which:
                for kind, value in differences(alone, folder, name).items():
                    worst[kind] = max(worst[kind], (name, value), key=lambda found: found[1])
                    if not value <= LIMITS[kind]:
                        bad += 1
                        print(f"{title}, {name}: {kind} off by {value:.2g}", flush=True)
            told = ", ".join(
                f"{kind} {value:.1e} ({name})" for kind, (name, value) in worst.items()
            )
            seconds = time.monotonic() - begun
            print(f"{title}: {len(which)} runs, {seconds:.0f} s; worst: {told}", flush=True)
    return int(bad > 0)


if __name__ == "__main__":
    if len(sys.argv) == 1:
        sys.exit(main())
    assert several() or "RANK" not in os.environ or os.environ["WORLD_SIZE"] == "1"
    torch.set_num_threads(1)
    place, names = Path(sys.argv[1]), json.loads(sys.argv[2])
    more = {"shard": True} if "--shard" in sys.argv else {}
    more |= {"steps": int(sys.argv[sys.argv.index("--steps") + 1])} if "--steps" in sys.argv else {}
    if "--only64" in sys.argv:
        del DTYPES["float32"]
    launched(place, names, **more)
