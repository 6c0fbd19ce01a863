"""FSDP2: each process keeps a slice of every weight, of its gradient and of its moments.

On GPUs Accelerate's plugin does it, on CPUs, where Accelerate would quietly take DDP instead,
PyTorch's `fully_shard` (arXiv 2304.11277).
"""

import copy
import warnings

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs, FullyShardedDataParallelPlugin
from torch import Tensor, nn

from ..data import DataError
from ..training.settings import TrainConfig
from .group import Processes


def accelerator_of(config: TrainConfig, processes: Processes, model: nn.Module) -> Accelerator:
    """Accelerate for a run; where weights are to be sliced on GPUs, it is told by which blocks.

    DataError for a precision that sliced weights don't have.
    """
    mixed = config.precision.replace("auto", "no")
    if processes.size == 1:
        return Accelerator(mixed_precision=mixed)
    cpu, plugin = processes.device.type == "cpu", None
    if config.shard and mixed not in (("no",) if cpu else ("no", "bf16")):
        kinds = "float32 (precision auto)" if cpu else "bf16 or float32 (precision auto)"
        raise DataError(f"with --shard {'a CPU' if cpu else 'a GPU'} computes in {kinds}")
    if config.shard and not cpu:
        from torch.distributed.fsdp import MixedPrecisionPolicy

        kinds = sorted({type(block).__name__ for block in blocks_of(model)})
        plugin = FullyShardedDataParallelPlugin(
            fsdp_version=2,
            # as in one process: Accelerate's own policy would round log-probabilities to bf16
            mixed_precision_policy=MixedPrecisionPolicy(),
            auto_wrap_policy="transformer_based_wrap",
            transformer_cls_names_to_wrap=kinds,
            cpu_ram_efficient_loading=False,
        )
    # buffers are equal anyway, and to send them at each call would ask for as many calls of each
    warnings.filterwarnings("ignore", message=".*broadcast_buffers.*")  # PyTorch renames it
    ddp = DistributedDataParallelKwargs(broadcast_buffers=False)
    return Accelerator(mixed_precision=mixed, cpu=cpu, fsdp_plugin=plugin, kwargs_handlers=[ddp])


def blocks_of(model: nn.Module) -> list[nn.Module]:
    """The layers of a language model: its longest list of modules."""
    lists = [list(m) for m in model.modules() if isinstance(m, nn.ModuleList)]
    return max(lists, key=len, default=[])


def sharded_copy(scorer: nn.Module, processes: Processes) -> nn.Module:
    """A copy of a scorer whose weights are slices, a block at a time; the model stays whole.

    What lies outside the blocks, the head included, is whole while the scorer's forward runs.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    scorer = copy.deepcopy(scorer)
    mesh = init_device_mesh(processes.device.type, (processes.size,))
    for block in blocks_of(scorer):
        fully_shard(block, mesh=mesh)
    return fully_shard(scorer, mesh=mesh)


def sharded(scorer: nn.Module, settings: dict, accelerator: Accelerator, processes: Processes):
    """A sliced copy of a scorer, AdamW with these settings on it, and what clips the gradient.

    PyTorch's AdamW: the fast path's clips by the norm of what one process has.
    """
    cpu = processes.device.type == "cpu"
    policy = sharded_copy(scorer, processes) if cpu else copy.deepcopy(scorer)
    scorer.cpu()  # the whole model waits there for the trained weights
    trained = lambda: [p for p in policy.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained(), **settings)
    if cpu:  # Accelerate would make DDP of it
        optimizer = accelerator.prepare(optimizer)
    else:
        policy, optimizer = accelerator.prepare(policy, optimizer)
    return policy, optimizer, lambda most: whole(nn.utils.clip_grad_norm_(trained(), most))


def is_sharded(model: nn.Module) -> bool:
    """Whether its weights are slices."""
    return any(hasattr(p, "full_tensor") for p in model.parameters())


def whole(tensor: Tensor) -> Tensor:
    """All of a tensor of which each process has a slice; every process must ask."""
    return tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor


def slice_like(tensor: Tensor, like: Tensor) -> Tensor:
    """The tensor as `like` is kept: a slice of it, where that is one; nothing is sent."""
    tensor = tensor.to(like.device)
    if not hasattr(like, "full_tensor"):
        return tensor
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(tensor, like.device_mesh, like.placements, src_data_rank=None)


@torch.no_grad()
def take_weights(model: nn.Module, sharded: nn.Module) -> None:
    """The whole model takes the weights of its sharded copy; every process must ask."""
    for mine, trained in zip(model.parameters(), sharded.parameters(), strict=True):
        mine.copy_(whole(trained))
