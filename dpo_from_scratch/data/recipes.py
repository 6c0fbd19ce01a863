"""Columns of other names: one sentence for a whole file, with the line of Python that mends it."""

from .columns import ASKED, KEYS, kind_by_keys, richer

EACH = "for r in records(FILE)"
_USER = "[{'role': 'user', 'content': %s}]"
_SYSTEM = "[{'role': 'system', 'content': r['system']}] * bool(r['system']) + "
_ANSWER = "[{'role': 'assistant', 'content': r[%s]}]"
_ANSWERS = (_ANSWER % "'chosen'", _ANSWER % "'rejected'")
_SAYS = (
    "[{'role': {'human': 'user', 'gpt': 'assistant'}.get(m['from'], m['from']), "
    "'content': m['value']} for m in %s]"
)
_BEST = (
    f"{EACH} for s in [sorted(r['completions'], key=lambda c: c['overall_score'])] "
    "if s and s[0]['overall_score'] < s[-1]['overall_score']"
)
_SHP = "r['human_ref_A' if r['labels'] == %d else 'human_ref_B']"
_BETTER = "r['response_' + str(%s)]"
SHAPES = (  # columns, the kind they make, each key's text of a row r, how rows are gone through
    (
        ("instruction", "completions"),  # UltraFeedback as it was first published
        "pairs",
        ("r['instruction']", "s[-1]['response']", "s[0]['response']"),
        _BEST,
    ),
    (
        ("history", "human_ref_A", "human_ref_B", "labels"),  # SHP
        "pairs",
        ("r['history'] + '\\n\\n'", _SHP % 1, _SHP % 0),
        EACH,
    ),
    (
        ("conversations", "chosen", "rejected"),  # ShareGPT's names
        "pairs",
        tuple(_SAYS % f for f in ("r['conversations']", "[r['chosen']]", "[r['rejected']]")),
        EACH,
    ),
    (
        ("input", "preferred_output", "non_preferred_output"),  # OpenAI's
        "pairs",
        ("r['input']['messages']", "r['preferred_output']", "r['non_preferred_output']"),
        EACH,
    ),
    (
        ("prompt", "response_0", "response_1", "better_response_id"),  # PKU-SafeRLHF
        "pairs",
        (
            "r['prompt']",
            _BETTER % "r['better_response_id']",
            _BETTER % "1 - r['better_response_id']",
        ),
        EACH,
    ),
    *(
        (
            ("system", asked, "chosen", "rejected"),  # Orca's
            "pairs",
            (_SYSTEM + _USER % f"r['{asked}']", *_ANSWERS),
            EACH,
        )
        for asked in ("question", "input", "instruction")
    ),
    (
        ("conversations",),
        "texts",
        (_SAYS % "r['conversations'][:-1]", _SAYS % "r['conversations'][-1:]"),
        EACH,
    ),
    (("messages",), "texts", ("r['messages'][:-1]", "r['messages'][-1:]"), EACH),
    (
        ("instruction", "input", "output"),  # Alpaca's
        "texts",
        ("(r['instruction'] + '\\n\\n' + r['input']).strip() + '\\n\\n'", "r['output']"),
        EACH,
    ),
)
ALIASES = {  # our name -> what others call it, in small letters
    "prompt": ASKED,
    "chosen": (
        *("preferred", "winner", "accepted", "better", "chosen_response", "response_chosen"),
        *("response_j", "response_a", "response_1", "answer_a", "output_1"),
    ),
    "rejected": (
        *("dispreferred", "loser", "worse", "rejected_response", "response_rejected"),
        *("response_k", "response_b", "response_2", "answer_b", "output_2"),
    ),
    "completion": ("response", "output", "answer", "text", "reply"),
    "label": ("thumb", "thumbs", "thumbs_up", "liked", "feedback", "desirable"),
}
UNSAID = {"response_a", "response_1", "answer_a", "output_1"}  # first, which need not be better


def meant(columns: list[str]) -> str | None:
    """The richest kind that columns of these names can be made into; None if there is none."""
    shape = next((kind for names, kind, *_ in SHAPES if set(names) <= set(columns)), None)
    named = (kind for kind, keys in KEYS.items() if all(_alias(k, columns) for k in keys))
    kinds = [kind for kind in (shape, next(named, None)) if kind]
    return min(kinds, key=list(KEYS).index, default=None)


def hidden_kind(columns: list[str], kind: str) -> str | None:
    """A richer kind than `kind` under other names, such as prompt, response_a and response_b.

    Prompts may stand in any file; that these are all that is wanted must be said.
    """
    other = meant(columns) if kind == "prompts" else None
    return other if richer(other, kind) else None


def misfit(path, columns: list[str], kind: str) -> str:
    """What to say of a file whose columns make no rows of this kind: one sentence and a recipe."""
    found = ", ".join(name[:40] for name in columns[:20]) or "none"
    other = kind_by_keys(columns)
    holds = f"rows of kind {other}, not {kind}" if other not in (None, kind) else f"no {kind}"
    told = f"holds {holds}: {kind} need {', '.join(KEYS[kind])}, and its columns are {found}"
    made = recipe(path, columns, kind)
    return f"{told}. {made}" if made else told


def recipe(path, columns: list[str], kind: str) -> str:
    """One line of Python that makes rows of this kind, where the columns' names tell how."""
    shape = next((s for s in SHAPES if s[1] == kind and set(s[0]) <= set(columns)), None)
    names = [_alias(key, columns) for key in KEYS[kind]]
    if shape:
        texts, each = list(shape[2]), shape[3]
    elif all(names):
        texts, each = [f"r[{name!r}]" for name in names], EACH
        if kind == "labels":
            texts[-1] = f"bool({texts[-1]})"
    else:
        return ""
    row = ", ".join(f"{key!r}: {text}" for key, text in zip(KEYS[kind], texts, strict=True))
    code = f"write_rows('{kind}.jsonl', ({{{row}}} {each.replace('FILE', repr(str(path)))}))"
    unsaid = not shape and UNSAID & {str(name).lower() for name in names}
    check = " (turned round where the second one is better)" if unsaid else ""
    return f"Make such rows{check}: from dpo_from_scratch.data import records, write_rows; {code}"


def _alias(ours: str, columns: list[str]) -> str | None:
    plain = {c.lower().strip().replace("-", "_").replace(" ", "_"): c for c in columns}
    return next((plain[name] for name in (ours, *ALIASES[ours]) if name in plain), None)
