"""Other people's code: whatever it does, one sentence comes of it, and in time."""

import subprocess
import sys
import threading
import time

import pytest

from dpo_from_scratch.data import DataError
from dpo_from_scratch.others import guarded


def endless():
    while True:
        pass


def swallowing():
    while True:
        try:
            endless()
        except BaseException:  # as some code does
            if time.monotonic() - BEGUN > 3:
                raise


def deep():
    return deep()


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: 1 / 0, "the template raised ZeroDivisionError: division by zero"),
        (lambda: sys.exit(0), "the template asked the program to exit"),
        (deep, "the template raised RecursionError"),
        (endless, "the template had not ended after 0.3 seconds"),
        (swallowing, "the template had not ended after 0.3 seconds"),
    ],
)
def test_what_it_does_is_told_in_one_sentence(call, told):
    global BEGUN
    BEGUN = time.monotonic()
    with pytest.raises(DataError, match=told):
        guarded("the template", call, seconds=0.3)
    assert time.monotonic() - BEGUN < 10


def test_what_comes_back_comes_back_and_our_own_errors_and_ctrl_c_pass():
    assert guarded("it", max, [1, 3, 2], key=lambda x: -x) == 1
    with pytest.raises(DataError, match=r"^line 3$"):
        guarded("it", exec, "raise E('line 3')", {"E": DataError})
    with pytest.raises(KeyboardInterrupt):
        guarded("it", exec, "raise KeyboardInterrupt")


def test_calls_within_calls_and_in_other_threads_have_their_own_time():
    def outer():
        with pytest.raises(DataError, match="inner had not ended"):
            guarded("inner", endless, seconds=0.2)
        return "went on"

    seen = []
    thread = threading.Thread(target=lambda: seen.append(guarded("outer", outer)))
    thread.start()
    assert guarded("outer", outer) == "went on"
    thread.join(20)
    assert seen == ["went on"]


def test_a_profiler_or_a_debugger_may_look_on():
    """A thread that is asked at every line whether something was sent to it never ends in one."""
    program = (
        "import cProfile; from dpo_from_scratch.others import guarded\n"
        "profile = cProfile.Profile(); profile.enable()\n"
        "for i in range(100): guarded('it', max, 1, 2)\n"
        "profile.disable()\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_what_was_sent_arrives_in_the_call_and_never_after_it():
    for _ in range(3):
        with pytest.raises(DataError, match="had not ended"):
            guarded("it", endless, seconds=0.05)
        begun = time.monotonic()
        while time.monotonic() - begun < 1.2:  # longer than until it would be sent again
            pass
        assert guarded("it", max, 1, 2) == 2
