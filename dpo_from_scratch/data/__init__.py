"""Preference records: read, check, convert, by one reader.

Rows of pairs `prompt, chosen, rejected` (+ `probability` that chosen is preferred), of labels
`prompt, completion, label`, of texts `prompt, completion`, or of prompts, in the keys that TRL and
the `datasets` library use. A text is a string or a list of {"role", "content"} messages. HH-RLHF
transcripts (`chosen`, `rejected` only; arXiv 2204.05862) are split at the last assistant turn.

Files are JSON Lines or a JSON array (.gz too), Parquet, or a folder that `save_to_disk` of the
`datasets` library wrote. `read_rows` reads all, `scan` row by row, `records` without any check.
"""

from .columns import KEYS
from .reading import kind_of, numbered_rows, read_rows, scan
from .report import DataError, Report
from .rows import check_row, split_pairs
from .sources import data_path, holds_rows, records, write_rows
from .texts import ROLES
