"""What stands in the place of a run's folder where nothing is written."""


class NoRun:
    """In place of a RunFolder where nothing is written."""

    finished = False

    def log(self, *whatever) -> None:
        """Nothing is written."""

    save = keep_reference = keep_tricks = try_saving = finish = __exit__ = log

    def __enter__(self) -> "NoRun":
        return self

    def kept_reference(self) -> None:
        """No scores are stored."""

    kept_tricks = kept_reference

    def restore(self, *whatever) -> tuple[int, list[dict], dict]:
        """The beginning."""
        return 0, [], {}

    def how_to_go_on(self) -> str:
        """It can't."""
        return ""

    where = how_to_go_on
