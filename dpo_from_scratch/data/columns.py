"""The columns of a file: what kind of rows they make, and what to do about other people's names."""

from collections.abc import Iterable

KEYS = {
    "pairs": ("prompt", "chosen", "rejected"),
    "labels": ("prompt", "completion", "label"),
    "texts": ("prompt", "completion"),
    "prompts": ("prompt",),
}
ALIASES = {  # our name -> what others call it
    "prompt": ("question", "instruction", "query", "input", "context", "problem", "post"),
    "chosen": ("preferred", "winner", "accepted", "chosen_response", "response_chosen"),
    "rejected": ("dispreferred", "loser", "rejected_response", "response_rejected"),
    "completion": ("response", "output", "answer", "text", "reply"),
    "label": ("thumb", "thumbs_up", "liked", "feedback", "desirable"),
}
RECIPES = {  # columns -> the rows that they make, as a Python expression over a row r
    ("history", "human_ref_A", "human_ref_B", "labels"): (
        "{'prompt': r['history'], "
        "'chosen': r['human_ref_A' if r['labels'] else 'human_ref_B'], "
        "'rejected': r['human_ref_B' if r['labels'] else 'human_ref_A']}"
    ),
    ("response_a", "response_b"): (
        "{'prompt': r['prompt'], 'chosen': r['response_a'], 'rejected': r['response_b']}, "
        "turned round where the second one won"
    ),
    ("instruction", "completions"): (
        "{'prompt': r['instruction'], 'chosen': best, 'rejected': other}, of r['completions'] the "
        "one with the highest overall_score and another one"
    ),
    ("conversations", "chosen", "rejected"): (
        "{'prompt': [{'role': {'human': 'user', 'gpt': 'assistant'}.get(m['from'], m['from']), "
        "'content': m['value']} for m in r['conversations']], "
        "'chosen': r['chosen']['value'], 'rejected': r['rejected']['value']}"
    ),
}


def kind_by_keys(keys: Iterable[str]) -> str | None:
    """The kind of row that these keys make, None if none; labels before texts, whose keys they
    hold too."""
    there = set(keys)
    if {"chosen", "rejected"} <= there:
        return "pairs"  # the prompt may stand in both
    return next((kind for kind, wanted in KEYS.items() if set(wanted) <= there), None)


def has_kind(keys: Iterable[str], kind: str) -> bool:
    """Whether rows with these keys can be read as this kind."""
    there = set(keys)
    transcripts = {"chosen", "rejected"} <= there and not there & set(ALIASES["prompt"])
    return set(KEYS[kind]) <= there or (kind == "pairs" and transcripts)


def misfit(columns: list[str], kind: str) -> str:
    """What to say of a file whose columns make no rows of this kind: one sentence and a recipe."""
    found = ", ".join(columns[:20]) or "none"
    other = kind_by_keys(columns)
    holds = f"rows of kind {other}, not {kind}" if other not in (None, kind) else f"no {kind}"
    told = f"holds {holds}: {kind} need {', '.join(KEYS[kind])}, and its columns are {found}"
    made = recipe(columns, kind)
    return f"{told}. {made}" if made else told


def recipe(columns: list[str], kind: str) -> str:
    """One line of Python that makes rows of this kind, where the columns' names tell how."""
    special = next((text for names, text in RECIPES.items() if set(names) <= set(columns)), None)
    if special is None:
        taken = {ours: _alias(ours, columns) for ours in KEYS[kind]}
        if None in taken.values():
            return ""
        special = "{" + ", ".join(f"'{ours}': r['{name}']" for ours, name in taken.items()) + "}"
    return (
        "Make such rows with dpo_from_scratch.data: "
        f"write_rows('{kind}.jsonl', (ROW for r in records('FILE'))), where ROW is {special}"
    )


def _alias(ours: str, columns: list[str]) -> str | None:
    return next((name for name in (ours, *ALIASES[ours]) if name in columns), None)
