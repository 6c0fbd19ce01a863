"""For the chapters' exercises: mistakes with their names, alone and two at a time."""

from collections.abc import Callable, Mapping


def mistakes(
    right: Callable, told: Mapping[str, Callable | Mapping[str, object]]
) -> list[tuple[str, Callable]]:
    """(why, function) of each: a function of its own, or `right` with these switches set."""
    one = lambda how: how if callable(how) else lambda *given: right(*given, **how)
    return [(why, one(how)) for why, how in told.items()]


def then(
    told: list[tuple[str, Callable]], change: Callable, why: str
) -> list[tuple[str, Callable]]:
    """Each of these mistakes, and after it another: change(value, *arguments)."""
    return [
        (
            f"two things. First: {first} Second: {why}",
            lambda *given, f=function: change(f(*given), *given),
        )
        for first, function in told
    ]


def mixed(first: Mapping, second: Mapping) -> list[tuple[str, Callable]]:
    """Each mistake in one part, or in both, of an answer in two parts; None: the right part."""
    told = []
    for (a, f), (b, g) in ((x, y) for x in first.items() for y in second.items()):
        why = f"two things. First: {a} Second: {b}" if a and b else a or b
        if why:
            told.append((why, lambda *args, f=f, g=g: (f(*args), g(*args))))
    return told
