"""The numbers that a loss's own code names, beta, tau and others, against what it amounts to."""

import inspect
from types import FunctionType, MethodType, ModuleType

from torch import Tensor

from .case import Case

SETTINGS = ("args", "config", "cfg", "hparams", "settings", "options")
NAMES = ("beta", "tau", "smoothing", "gamma", "target_margin")
NEVER = ("adam", "betas", "beta1", "beta2", "beta_1", "beta_2")  # an optimizer's


def near(a: float, b: float) -> bool:
    """Whether two numbers are the same but for what a fit leaves open."""
    return abs(a / b - 1) < 0.03


def check_named_target(case: Case, target: float, bend: float) -> None:
    """IPO's target is 1 / (2 tau), arXiv 2310.12036, eq. 17; some call it beta.

    A parabola of beta times the margin has its target at 1 / beta, and bends by 2 beta^2.
    """
    named = _numbers(case.loss)
    called = lambda *names: {v for k, v in named if k.lower() in names}
    taus = called("tau", "ipo_tau") or called("beta")
    squared = lambda tau: near(target, 1 / tau) and near(bend, 2 * tau**2)
    if len(taus) != 1 or any(near(target, 1 / (2 * tau)) or squared(tau) for tau in taus):
        return
    (tau,) = taus
    slips = (tau / 2, tau, 1 / tau, 2 / tau)
    if not called("tau", "ipo_tau") and not any(near(target, x) for x in slips):
        return  # settings may have a beta that this loss doesn't read
    told = f"IPO's target is 1 / (2 tau), {1 / (2 * tau):.4g} nats with the code's {tau:g}, and "
    told += f"the loss has {target:.4g}"
    told += ": tau / 2, as `1 / 2 * tau` is read" if near(target, tau / 2) else ""
    case.add("beta_differs", told, "likely")


def check_named_smoothing(case: Case, constant: float, push: float) -> None:
    """Label smoothing gives the push a constant part, whatever the margin."""
    named = [(k, v) for k, v in _numbers(case.loss) if "smoothing" in k.lower() and v < 0.5]
    if named and abs(constant) < 0.1 * min(v for _, v in named) * abs(push):
        told = f"{named[0][0]} is {named[0][1]:g} in the code, and the loss has none"
        case.add("setting_ignored", told, "likely")


def check_named_gamma(case: Case) -> None:
    """SimPO's gamma, of a loss whose steepest place is a margin of 0, as if there were none."""
    for name, gamma in _numbers(case.loss):
        if "gamma" in name.lower() or "target_margin" in name.lower():
            told = f"{name} is {gamma:g} in the code, and the loss has no target margin"
            case.add("setting_ignored", told, "likely")


def check_named_beta(case: Case, beta: float | None) -> None:
    """Name a loss that has the square, or the inverse, of the beta in its code."""
    named = [(k, v) for k, v in _numbers(case.loss) if "beta" in k.lower()]
    plain = {v for k, v in named if k.lower() == "beta"}
    numbers = plain or {v for _, v in named}
    if beta is None or any(near(beta, b) for b in numbers):
        return
    if len(plain) == 1 and any(near(beta * b, 1) for b in plain if abs(b - 1) > 0.05):
        (given,) = plain
        told = f"beta is {given:g} in the code, and the loss has its inverse, {beta:.4g}"
        case.add("beta_differs", told, "likely")
        return
    for given in sorted(numbers):
        if abs(given - 1) > 0.05 and near(beta, given**2):
            told = f"beta is {given:g} in the code, and the loss has its square, {beta:.4g}"
            case.add("beta_twice", told, "likely")


def _numbers(thing, depth: int = 4) -> list[tuple[str, float]]:
    """Numbers of these names that a function reads: arguments, closure, globals, attributes."""
    if depth == 0:
        return []
    if isinstance(thing, MethodType):
        return _attributes(thing.__self__) + _numbers(thing.__func__, depth - 1)
    if hasattr(thing, "func") and hasattr(thing, "keywords"):
        return _betas(thing.keywords) or _numbers(thing.func, depth - 1)
    if not isinstance(thing, FunctionType):
        kind = type(thing)  # a callable object, as a module
        inner = kind.forward if hasattr(kind, "forward") else vars(kind).get("__call__")
        return _attributes(thing) + _numbers(inner, depth - 1)
    try:
        read = inspect.getclosurevars(thing)
    except (TypeError, ValueError):
        return []
    names = {**read.globals, **read.nonlocals, **_defaults(thing)}
    found = _betas(names)
    for value in names.values():
        if isinstance(value, FunctionType | MethodType):
            found += _numbers(value, depth - 1)
        elif not isinstance(value, ModuleType | Tensor):
            found += _attributes(value)
            for name in read.unbound:  # methods of an object that it calls
                method = getattr(value, name, None) if hasattr(value, "__dict__") else None
                found += _numbers(method, depth - 1) if isinstance(method, MethodType) else []
    return found


def _defaults(function: FunctionType) -> dict:
    inputs = inspect.signature(function).parameters.values()
    return {p.name: p.default for p in inputs if p.default is not p.empty}


def _attributes(thing) -> list[tuple[str, float]]:
    """Those of an object or class and of its settings, or of a dictionary."""
    mine = _members(thing)
    settings = [_members(mine[name]) for name in SETTINGS if name in mine]
    return [found for names in (mine, *settings) for found in _betas(names)]


def _members(thing) -> dict:
    if isinstance(thing, dict):
        return thing
    kind = thing if isinstance(thing, type) else type(thing)
    mine = {k: v for part in reversed(kind.__mro__) for k, v in vars(part).items()}
    return mine | (getattr(thing, "__dict__", {}) if kind is not thing else {})


def _betas(names: dict) -> list[tuple[str, float]]:
    return [
        (k, float(v))
        for k, v in names.items()
        if isinstance(k, str) and any(x in k.lower() for x in NAMES)
        if not any(x in k.lower() for x in NEVER)
        if isinstance(v, int | float) and not isinstance(v, bool) and v > 0
    ]
