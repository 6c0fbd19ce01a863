"""A process that dies or stops is noticed, and one sentence names it; then all the others end.

Every half second each process says in the launcher's store that it lives. Who waits for a process
that is dead learns it from the connection; who waits for one that stands still learns it here.
"""

import os
import signal
import sys
import threading
import time
from contextlib import suppress
from datetime import timedelta

import torch.distributed as dist

from . import silent

BEAT = 0.5  # seconds
DEAD = 3.0  # seconds without a beat, once something has failed
PATIENCE = 300.0  # seconds without a beat, where nothing has failed; DPO_PATIENCE sets it
ENDED = b"ended"


class Watch:
    """What this process knows of the others: when each was last heard."""

    def __init__(self, rank: int, size: int):
        self.rank, self.size, self.going_on = rank, size, "go on with --resume"
        self.patience = float(os.environ.get("DPO_PATIENCE", PATIENCE))
        store = dist.TCPStore(
            os.environ["MASTER_ADDR"],
            int(os.environ["MASTER_PORT"]),
            is_master=False,
            timeout=timedelta(seconds=60),
        )
        tries = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
        self.store = dist.PrefixStore(f"dpo/{tries}", store)
        self.heard = {other: (b"", time.monotonic()) for other in range(size) if other != rank}
        self.ended, self.count, self.answers = threading.Event(), 0, 0
        self.beat()
        self.store.wait([f"beat/{other}" for other in range(size)])
        with suppress(ValueError):  # not in the main thread
            signal.signal(signal.SIGTERM, _stop)
        self.thread = threading.Thread(target=self._watch, daemon=True, name="watch")
        self.thread.start()

    def beat(self) -> None:
        """Say that this process lives."""
        self.count += 1
        self.store.set(f"beat/{self.rank}", str(self.count))

    def wait_for_first(self) -> None:
        """Until the first process calls it too, as the others have, however long that takes."""
        self.answers += 1
        name = f"answer/{self.answers}"
        if self.rank == 0:
            self.store.set(name, "1")
        while not self.store.check([name]):  # a wait inside the store would hold the beats
            time.sleep(BEAT / 50)

    def _watch(self) -> None:
        while not self.ended.wait(BEAT):
            try:
                self.beat()
                self._listen()
            except RuntimeError:  # the launcher, which keeps the store, is gone
                _say(f"dpo: the launcher no longer answers, so this process ends: {self.going_on}")
                os._exit(2)
            if lost := self.silent(self.patience):
                self.tell(self.sentence(lost))
                os._exit(2)

    def _listen(self) -> None:
        beats = self.store.multi_get([f"beat/{other}" for other in self.heard])
        for other, beat in zip(list(self.heard), beats, strict=True):
            if beat != self.heard[other][0]:
                self.heard[other] = (beat, time.monotonic())

    def silent(self, seconds: float) -> list[int]:
        """The ranks that were not heard for so long, and have not ended their work."""
        now = time.monotonic()
        return [r for r, (beat, at) in self.heard.items() if beat != ENDED and now - at > seconds]

    def lost(self) -> list[int]:
        """Who is dead, now that something has failed: after a few seconds it shows."""
        until = time.monotonic() + DEAD + 2 * BEAT
        while time.monotonic() < until and not self.told():
            if found := self.silent(DEAD):
                return found
            time.sleep(BEAT / 5)
        return []

    def sentence(self, lost: list[int]) -> str:
        """Who no longer answers, and what to do."""
        ranks = " and ".join(map(str, lost))
        who, verb = ("rank", "answers") if len(lost) == 1 else ("ranks", "answer")
        told = f"{who} {ranks} of {self.size} processes no longer {verb} (killed, or stopped)"
        return f"dpo: {told}, so all end: {self.going_on}"

    def told(self) -> bool:
        """Whether one of the processes has said what failed."""
        return self.store.check(["told"])

    def tell(self, sentence: str) -> None:
        """Say it, unless another process was first; either way it is said when this returns."""
        me = str(self.rank)
        if self.store.compare_set("told", "", me).decode() == me:
            _say(sentence)
            self.store.set("said", "1")
        else:
            with suppress(RuntimeError):
                self.store.wait(["said"], timedelta(seconds=5))

    def end(self) -> None:
        """This process has done its work."""
        self.ended.set()
        self.thread.join()
        self.store.set(f"beat/{self.rank}", ENDED)


def last_word(sentence: str, error: BaseException, watch: Watch | None) -> None:
    """An error's sentence, once for all processes, and the end of this one with its status.

    Where the error may be the death of another process, it is that one that the sentence names.
    What still waits in a thread would hold an ordinary end.
    """
    for number in (signal.SIGTERM, signal.SIGINT):  # the launcher's, now that one has ended
        signal.signal(number, signal.SIG_IGN)
    if watch is not None:
        with suppress(RuntimeError):  # no store: then there is nobody to agree with
            lost = watch.lost() if _of_others(error) else []
            watch.tell(watch.sentence(lost) if lost else sentence)
    elif not silent():
        _say(sentence)
    sys.stdout.flush()
    os._exit(128 + getattr(error, "signal", 2) if isinstance(error, KeyboardInterrupt) else 2)


def _of_others(error: BaseException | None) -> bool:
    """Whether it may come from another process: from a connection, or from the launcher."""
    while error is not None:
        if isinstance(error, RuntimeError) or (
            isinstance(error, KeyboardInterrupt) and not str(error)
        ):
            return True
        error = error.__cause__ or error.__context__
    return False


def _stop(number, frame):
    from ..training.stops import Stopped

    raise Stopped("", number)


def _say(sentence: str) -> None:
    bars = getattr(sys.modules.get("tqdm"), "tqdm", None)
    wipe = "\r\033[K" if bars and any(not bar.disable for bar in list(bars._instances)) else ""
    print(f"{wipe}{sentence}", file=sys.stderr, flush=True)
