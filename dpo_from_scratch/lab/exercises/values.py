"""What an attempt gave, as numbers: torch, NumPy, lists and floats alike."""

from numbers import Number

import numpy as np
import torch

HALF = (torch.float16, torch.bfloat16)


def numbers(value) -> np.ndarray | None:
    """The value as float64, any shape; None if it is no number and holds none."""
    if isinstance(value, torch.Tensor):
        return value.detach().cpu().double().numpy() if not value.is_complex() else None
    if isinstance(value, np.ndarray | Number) and not isinstance(value, complex):
        found = np.asarray(value)
    elif isinstance(value, list | tuple | range):
        parts = [numbers(part) for part in value]
        if any(p is None for p in parts) or len({p.shape for p in parts}) > 1:
            return None
        return np.array(parts, float)
    else:
        return None
    return found.astype(float) if found.dtype.kind in "fiub" else None


def kind(value) -> str:
    """What a value is, for those who go on with it: all single numbers are of one kind."""
    if isinstance(value, list | tuple):
        return "list"
    return "number" if isinstance(value, Number | np.generic) else type(value).__name__


def form(value, right) -> str:
    """A sentence if the value has another form than the right one: type, dtype, shape, NaN."""
    found, wanted = numbers(value), numbers(right)
    if wanted is None:
        return ""
    if found is None:
        kind = type(value).__name__
        return f"it gives a {kind}, and {shaped(wanted)} {'is' if one(wanted) else 'are'} asked."
    if isinstance(value, torch.Tensor) and value.requires_grad and not grown(right):
        return "its result still carries a gradient: compute under torch.no_grad(), or `.detach()`."
    if getattr(value, "dtype", None) in (*HALF, np.float16):
        return f"it gives {value.dtype}: compute in float32 or wider."
    if not fits(found, wanted):
        return f"it gives {shaped(found)}, and {shaped(wanted)} {word(wanted)} asked."
    found = found.reshape(wanted.shape)
    if np.isnan(found).any() and not np.isnan(wanted).any():
        where = "it is" if one(found) else f"{int(np.isnan(found).sum())} of {found.size} are"
        return f"{where} NaN (not a number)."
    return ""


def whole_only(value, right) -> bool:
    """Whether an integer dtype has cut the right numbers to whole ones."""
    found, wanted = numbers(value), numbers(right)
    kind = getattr(value, "dtype", None)
    integers = isinstance(value, int) or (kind is not None and not floating(kind))
    if not integers or found is None or found.size != wanted.size:
        return False
    found = found.reshape(wanted.shape)
    off = not np.allclose(found, wanted)
    return off and bool(np.all((found == np.trunc(wanted)) | (found == np.round(wanted))))


def cut(found: list, wanted: list) -> bool:
    """Whether whole numbers stand in the place of all right ones that are none."""
    off = [i for i, (f, w) in enumerate(zip(found, wanted, strict=True)) if not same(f, w)]
    return bool(off) and all(whole_only(found[i], wanted[i]) for i in off)


def floating(kind) -> bool:
    """Whether a dtype, of torch or NumPy, holds fractions."""
    return kind.is_floating_point if isinstance(kind, torch.dtype) else kind.kind == "f"


def grown(right) -> bool:
    """Whether the right value carries a gradient itself."""
    return isinstance(right, torch.Tensor) and right.requires_grad


def one(value: np.ndarray) -> bool:
    """Whether it is a single number."""
    return value.size == 1


def word(value: np.ndarray) -> str:
    """is or are."""
    return "is" if one(value) else "are"


def fits(found: np.ndarray, wanted: np.ndarray) -> bool:
    """Same shape; a single number may stand in brackets."""
    return found.shape == wanted.shape or (found.size == wanted.size == 1)


def shaped(value: np.ndarray) -> str:
    """A number, or N numbers of a shape."""
    if value.ndim == 0:
        return "one number"
    shape = f"({', '.join(map(str, value.shape))}{',' if value.ndim == 1 else ''})"
    return f"{value.size} number{'' if one(value) else 's'} of shape {shape}"


def same(found, wanted, rtol: float = 1e-4, atol: float = 1e-6) -> bool:
    """Whether both hold the same numbers, infinities included, or are equal where they are none."""
    a, b = numbers(found), numbers(wanted)
    if a is None or b is None:
        return a is None and b is None and _plainly(found, wanted)
    return fits(a, b) and bool(np.allclose(a.reshape(b.shape), b, rtol, atol, equal_nan=True))


def _plainly(found, wanted) -> bool:
    if isinstance(found, list | tuple) and isinstance(wanted, list | tuple):
        return len(found) == len(wanted) and all(map(same, found, wanted))
    if isinstance(found, dict) and isinstance(wanted, dict):
        return found.keys() == wanted.keys() and all(same(found[k], wanted[k]) for k in wanted)
    try:
        return bool(found == wanted)
    except (TypeError, ValueError, RuntimeError):
        return False


def show(value) -> str:
    """A short form of a value, for a sentence."""
    found = numbers(value)
    if found is None:
        text = " ".join(repr(value).split())
        return text if len(text) <= 60 else text[:57] + "..."
    flat = found.ravel()
    told = ", ".join(f"{v:.4g}" for v in flat[:6]) + (", ..." if flat.size > 6 else "")
    return told if found.ndim == 0 else f"[{told}]"
