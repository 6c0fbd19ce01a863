"""What work costs is counted right: seconds, bytes moved, bytes kept for the way back."""

import time

import torch

from dpo_from_scratch.lab.costs import fastest, kept, moved

SIZE = 4 * 1000  # bytes of a vector of a thousand


def test_works_take_turns_and_the_least_of_the_rounds_is_told():
    order, naps = [], iter([0.03, 0.0, 0.0, 0.03])

    def nap():
        order.append("nap")
        time.sleep(next(naps) + 0.002)

    found = fastest({"nap": nap, "nothing": lambda: order.append("nothing")}, rounds=4)
    assert order == ["nap", "nothing"] * 4
    assert 0.002 <= found["nap"] < 0.03
    assert 0 <= found["nothing"] < found["nap"]


def test_what_an_operator_reads_and_writes_is_counted():
    a, b = torch.ones(1000), torch.ones(1000)
    assert moved(lambda: a + b) == (3 * SIZE, 1)
    assert moved(lambda: a.add_(b)) == (3 * SIZE, 1)  # a is read and written
    assert moved(lambda: torch.add(a, b, out=a)) == (3 * SIZE, 1)
    assert moved(lambda: torch._foreach_add_([a, b], 1.0)) == (4 * SIZE, 1)


def test_a_view_moves_nothing():
    a = torch.ones(10, 100)
    assert moved(lambda: a.T.reshape(-1, 10)[3:].unsqueeze(0)) == (0, 0)
    assert moved(lambda: a.clone()) == (2 * SIZE, 1)


def test_what_is_kept_for_the_way_back_is_counted_once_and_without_weights():
    weight = torch.ones(1000, requires_grad=True)
    x = torch.ones(1000)
    assert kept(lambda: (x * weight).sum(), [weight]) == SIZE  # x
    assert kept(lambda: ((x * weight) * x).sum(), [weight]) == SIZE
    assert kept(lambda: (weight * weight).sum(), [weight]) == 0
    assert kept(lambda: (x * weight).exp().sum(), [weight]) == 2 * SIZE
    with torch.no_grad():
        assert kept(lambda: (x * weight).sum(), [weight]) == 0
