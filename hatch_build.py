"""The notebooks go into the wheel without their outputs: `dpo book` writes them out again."""

import importlib.util
import tempfile
from pathlib import Path

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class NotebooksWithoutOutputs(BuildHookInterface):
    """Runs when a wheel is built; an editable install reads the checkout's own notebooks."""

    def initialize(self, version: str, build_data: dict) -> None:
        """Add dpo_from_scratch/shipped/notebooks to what the wheel holds."""
        if version == "editable":
            return
        root, folder = Path(self.root), Path(tempfile.mkdtemp())
        place = root / "dpo_from_scratch" / "lab" / "editions.py"
        spec = importlib.util.spec_from_file_location("editions", place)
        editions = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(editions)
        for path in sorted((root / "notebooks").rglob("*")):
            inside = path.relative_to(root / "notebooks")
            if (
                path.suffix not in (".ipynb", ".md", ".toml", ".gift", ".html")
                or ".ipynb_checkpoints" in inside.parts
            ):
                continue
            to = folder / inside
            to.parent.mkdir(parents=True, exist_ok=True)
            content = path.read_text(encoding="utf-8")
            if path.suffix == ".ipynb":
                content = editions.text(editions.plain(editions.read(path)))
            to.write_text(content, encoding="utf-8")
        build_data["force_include"][str(folder)] = "dpo_from_scratch/shipped/notebooks"
