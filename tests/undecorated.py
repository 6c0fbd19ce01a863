"""A copy of the repository in which losses register themselves below their functions.

`python tests/undecorated.py FOLDER`, for `make mutants`: mutmut passes over decorated functions.
"""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def undecorated(source: str) -> str:
    """The same module with `name = decorator(name)` after each decorated function."""
    lines = source.splitlines()
    for node in reversed(ast.parse(source).body):
        if isinstance(node, ast.FunctionDef) and node.decorator_list:
            first = node.decorator_list[0].lineno
            (decorator,) = (ast.unparse(d) for d in node.decorator_list)
            lines.insert(node.end_lineno, f"\n\n{node.name} = {decorator}({node.name})")
            del lines[first - 1 : node.lineno - 1]
    return "\n".join(lines) + "\n"


def main() -> None:
    folder = Path(sys.argv[1])
    command = ["git", "-C", str(ROOT), "ls-files", "-co", "--exclude-standard"]
    for name in subprocess.run(command, capture_output=True, text=True, check=True).stdout.split():
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    for path in (folder / "dpo_from_scratch" / "losses").glob("*.py"):
        path.write_text(undecorated(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
