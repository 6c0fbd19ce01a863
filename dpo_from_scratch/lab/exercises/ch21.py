"""Chapter 21: who looks at whom in a row, and the costs of a head and of adapters on paper."""

import torch

from .answers import Numbers
from .ch21_slopes import CAPPED, LEFT
from .functions import Function
from .kit import mistakes


# ---------------------------------------------------------------- 21.0: the key cell
def sees(group, part, *, order="earlier", groups="own", parts="prompt or own"):
    """Who looks at whom, (T, T) bool; the keywords are mistakes."""
    place = torch.arange(len(group))
    row, column = place[:, None], place[None, :]
    same, own = group[:, None] == group[None, :], part[:, None] == part[None, :]
    to_prompt, by_prompt = part[None, :] == 0, part[:, None] == 0
    return (
        {
            "earlier": column <= row, "before": column < row, "later": column >= row,
            "all": column == column,
        }[order]
        & {"own": same, "any": same | ~same, "later ones": group[:, None] >= group[None, :]}[groups]
        & {
            "prompt or own": to_prompt | own, "any": own | ~own, "own": own, "prompt": to_prompt,
            "turned": by_prompt | own, "other": to_prompt | ~own,
            "next": to_prompt | ((part[:, None] - part[None, :]).abs() <= 1),
        }[parts]
    )  # fmt: skip


def _row(*pieces: tuple[int, int, int]) -> dict:
    """group and part, (T,), of pieces (group, part, tokens)."""
    return {
        "group": torch.tensor([g for g, _, n in pieces for _ in range(n)]),
        "part": torch.tensor([p for _, p, n in pieces for _ in range(n)]),
    }


ROWS = [
    _row((0, 0, 3), (0, 1, 2), (0, 2, 3)),
    _row((0, 0, 2), (0, 1, 3), (0, 2, 2), (1, 0, 3), (1, 1, 1), (1, 2, 2), (-1, 0, 2)),
    _row((0, 0, 2), (0, 1, 2), (0, 2, 1), (0, 3, 2), (1, 0, 1), (1, 1, 2)),
]
NO = torch.finfo(torch.float32).min
SEES = Function(
    sees,
    ROWS,
    switches={
        "order": ("all", "later tokens are seen, too: a causal model looks back only."),
        "groups": ("any", "the group is left out: prompts beside each other are strangers."),
        "parts": ("any", "responses of one prompt see each other: the part is left out."),
    },
    wrongs=mistakes(sees, {
        "a token doesn't see itself; it reads itself, too.": {"order": "before"},
        "rows and columns are exchanged: entry (i, j) is token i looking at token j.":
            {"order": "later", "parts": "turned"},
        "a token looks forward, and not back: j is at most i.": {"order": "later"},
        "a response doesn't see its prompt: part 0 is seen by all of its group.":
            {"parts": "own"},
        "who looks and who is looked at are exchanged: it is j that must be in the prompt.":
            {"parts": "turned"},
        "a response sees its prompt, and not itself.": {"parts": "prompt"},
        "a response sees all of its group but itself.": {"parts": "other"},
        "a response sees the one before it: parts must be equal, or j's must be 0.":
            {"parts": "next"},
        "a group sees the groups before it.": {"groups": "later ones"},
        "everything earlier is seen: neither group nor part is asked.":
            {"groups": "any", "parts": "any"},
        "everything is seen by everything.":
            {"order": "all", "groups": "any", "parts": "any"},
        "True and False are exchanged: True is what is seen.": lambda *a: ~sees(*a),
        "that is the picture as numbers to be added; asked is True or False.":
            lambda *a: torch.zeros(len(a[0]), len(a[0])).masked_fill(~sees(*a), NO),
        "that is the picture as numbers to be added; asked is True or False. ":
            lambda *a: torch.zeros(len(a[0]), len(a[0])).masked_fill(~sees(*a), -torch.inf),
        "padding sees nothing: then a softmax has nothing to add up, and gives NaN. It follows "
        "the same rule as all else.":
            lambda g, p: sees(g, p) & (g >= 0)[:, None],
        "padding sees itself alone; it follows the same rule as all else.":
            lambda g, p: sees(g, p) & ((g >= 0)[:, None] | torch.eye(len(g), dtype=torch.bool)),
        "same group *or* prompt or own response: all conditions must hold.":
            lambda g, p: ((g[:, None] == g) | (p[None] == 0) | (p[:, None] == p)).tril(),
        "the prompt of every group is seen: the groups must be equal there, too.":
            lambda g, p: ((p[None] == 0) | ((g[:, None] == g) & (p[:, None] == p))).tril(),
        "only the first group is seen.": lambda g, p: sees(g, p) & (g == 0)[None],
        "that counts what each token sees; asked is whom.": lambda g, p: sees(g, p).sum(1),
    }),
    common=False,
    shows="Nothing in a response can tell that another one stands beside it.",
)  # fmt: skip


# ---------------------------------------------------------------- 21.1: a larger model, on paper
PLACES, WORDS, INNER = 8 * 2 * 1024, 128256, 7e9
HEAD = 4096 * WORDS
GB, SHARE, MORE = "gigabytes", "share", "times as many tokens"
LARGE = Numbers(
    {GB: PLACES * WORDS * 4 / 1e9, SHARE: HEAD / (HEAD + INNER), MORE: 2 * 1024 / 1536},
    [
        (GB, PLACES * WORDS * 4 / 2**30, "GB are 10⁹ bytes here; that is in units of 2³⁰."),
        (GB, PLACES * WORDS * 2 / 1e9,
         "half of it: each pair has two rows, each place a prompt or a response token, and a "
         "float32 four bytes."),
        (GB, PLACES * WORDS / 1e9, "those are the numbers; each takes four bytes."),
        (GB, PLACES * WORDS * 8 / 1e9, "a float32 takes four bytes, not eight."),
        (GB, 8 * 1536 * WORDS * 4 / 1e9,
         "the naive step reads the prompt twice: 2 · 1,024 places a pair."),
        (GB, 2 * 1024 * WORDS * 4 / 1e9, "that is one pair; there are eight."),
        (GB, PLACES * 4096 * 4 / 1e9,
         "those are the hidden states: a logit for each word, not for each of 4,096."),
        (GB, PLACES * WORDS * 4 / 1e6, "that is in MB."),
        (GB, PLACES * WORDS * 4, "that is in bytes."),
        (SHARE, HEAD / INNER, "that is the head against the layers; asked is its share of both."),
        (SHARE, INNER / (HEAD + INNER), "that is the layers' share."),
        (SHARE, 2 * HEAD / (2 * HEAD + INNER),
         "head and layers cost two operations a weight, both."),
        (SHARE, HEAD / (HEAD + 2 * INNER),
         "head and layers cost two operations a weight, both."),
        (SHARE, HEAD / (HEAD + 8e9), "the eight billion hold the head already; P is given."),
        (SHARE, HEAD / 8e9, "the share of forward operations: the head's over head and P."),
        (MORE, 1536 / 2048, "upside down: with its own prompt each, over once."),
        (MORE, 2.0, "only the prompt is read once; the responses are two in both."),
        (MORE, 1.5, "that has two responses in place of two rows of 1,024 above."),
        (MORE, 2048 - 1536, "that is how many more; asked is how many times as many."),
        (MORE, 8 * 512, "that is how many more; asked is how many times as many."),
        (MORE, 2 * 1024 / 1024, "below stand a prompt and *two* responses."),
        (MORE, 1 / 4, "that is the share that is saved."),
        (MORE, 1 / 3, "that is how much more in parts of the shared way; one is missing."),
    ],
    rtol=0.005,
    shows="The logits alone are half of what the weights take in two bytes each.",
)  # fmt: skip


EXERCISES = {"21.0": SEES, "21.1": LARGE, "21.2": CAPPED, "21.3": LEFT}
