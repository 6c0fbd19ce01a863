"""Where a turn ends: what the chat template writes after content, and the ids that stop a model.

Training scores this end, sampling stops at it, and nothing else is appended. Templates and
tokenizers are other people's code: every call of theirs stands in `render` or `ids_of`.
"""

from contextlib import contextmanager, suppress
from datetime import datetime
from types import SimpleNamespace
from weakref import WeakKeyDictionary

from transformers.utils import chat_template_utils

from .data import DataError
from .others import guarded

CONTENT = "ContentOfTheTurn"  # looked for in what the template writes
HELLO = [{"role": "user", "content": "Hello"}]

_now = [datetime.now()]
_after: WeakKeyDictionary = WeakKeyDictionary()  # tokenizer -> (its template, what `after` says)
_ends: WeakKeyDictionary = WeakKeyDictionary()  # tokenizer -> (its template, what `ends` says)


# ---------------------------------------------------------------- the two calls
def ids_of(tokenizer, text: str, special: bool = False) -> list[int]:
    """The tokens of a text; with `special` also those that the tokenizer puts around every text."""
    found = guarded("the tokenizer", tokenizer, text, add_special_tokens=special)
    return list(found["input_ids"])


def render(tokenizer, messages: list[dict], **options) -> str:
    """What the chat template makes of messages; DataError if it refuses, fails or does not end.

    Keys without a value are left out. A template that writes the time is told `clock()`.
    """
    if not tokenizer.chat_template:
        raise DataError(
            "these rows hold messages, but the tokenizer has no chat template; "
            "use a chat model or plain strings"
        )
    told = [{k: v for k, v in message.items() if v is not None} for message in messages]
    with _told_the_time(tokenizer):
        return guarded(
            "the chat template", tokenizer.apply_chat_template, told, tokenize=False, **options
        )


@contextmanager
def _told_the_time(tokenizer):
    """While it renders, transformers' clock stands still; only for templates that look at it."""
    if "strftime_now" not in str(tokenizer.chat_template):
        yield
        return
    running = chat_template_utils.datetime
    chat_template_utils.datetime = SimpleNamespace(now=clock)
    try:
        yield
    finally:
        chat_template_utils.datetime = running


def clock(moment: datetime | None = None) -> datetime:
    """The one moment that all templates are told, at first the start of this program.

    With `moment` it is set, so that a run that goes on renders its rows as it did before.
    """
    if moment is not None:
        _now[0] = moment
    return _now[0]


def writes_the_time(tokenizer) -> bool:
    """Whether the chat template's text depends on the clock."""
    if "strftime_now" not in str(tokenizer.chat_template):
        return False
    before, texts = clock(), []
    for moment in (datetime(2001, 2, 3, 4, 5, 6), datetime(2012, 11, 10, 19, 48, 57)):
        _now[0] = moment
        try:
            texts.append(render(tokenizer, HELLO))
        finally:
            _now[0] = before
    return texts[0] != texts[1]


# ---------------------------------------------------------------- the end
def after(tokenizer, prompt: list[dict] | None = None) -> str:
    r"""What the chat template writes after an assistant's content, such as "<|im_end|>\n".

    Asked of the template itself, once, with the turns of `prompt` before it (default: a greeting).
    """
    key = (str(tokenizer.chat_template), tokenizer.eos_token)
    if tokenizer not in _after or _after[tokenizer][0] != key:
        answer = {"role": "assistant", "content": CONTENT}
        _, found, rest = render(tokenizer, [*(prompt or HELLO), answer]).rpartition(CONTENT)
        _after[tokenizer] = key, rest if found else ""
    return _after[tokenizer][1]


def end_of_text(tokenizer) -> tuple[int, ...]:
    """The tokenizer's own end; DataError if it names none."""
    if tokenizer.eos_token_id is None:
        mend = "set eos_token in its tokenizer_config.json"
        raise DataError(f"the tokenizer names no end of text, so no response can end: {mend}")
    return (tokenizer.eos_token_id,)


def end_of_turn(tokenizer, prompt: list[dict] | None = None) -> tuple[int, ...]:
    """Ids that end an assistant's turn: the template's, without white space around them.

    Where the template writes nothing after content, or there is none: the tokenizer's end of text.
    """
    written = after(tokenizer, prompt).strip() if tokenizer.chat_template else ""
    return tuple(ids_of(tokenizer, written)) if written else end_of_text(tokenizer)


def ends(tokenizer) -> list[tuple[int, ...]]:
    """Every way in which a response may end: the end of text, and the template's end of turn."""
    key = (str(tokenizer.chat_template), tokenizer.eos_token)
    if tokenizer not in _ends or _ends[tokenizer][0] != key:
        found = [] if tokenizer.eos_token_id is None else [(tokenizer.eos_token_id,)]
        with suppress(DataError):  # rows of messages say what is wrong with a template
            found += [end_of_turn(tokenizer)] if tokenizer.chat_template else []
        _ends[tokenizer] = key, list(dict.fromkeys(found))
    return _ends[tokenizer][1]


def end_ids(tokenizer) -> list[int]:
    """The last id of every way to end: each response that is scored has one of them, once."""
    return sorted({end[-1] for end in ends(tokenizer)})


def has_ended(tokenizer, ids: list[int]) -> bool:
    """Whether these tokens close with an end; ids are compared, not text."""
    return any(tuple(ids[-len(end) :]) == end for end in ends(tokenizer))


def is_rendered(tokenizer, text: str) -> bool:
    """Whether a text went through the tokenizer's chat template: the end of a turn is in it."""
    if not tokenizer.chat_template:
        return False
    try:
        written = after(tokenizer).strip()
    except DataError:
        return False
    return bool(written) and written in text


def stops(model, tokenizer, prompts: list) -> list[tuple[int, ...]]:
    """Tokens after which sampling stops, after prompts that are strings or lists of messages.

    The tokenizer's end of text and every end in the model's generation configuration; also the end
    of a turn, if one of the prompts is messages, or a text rendered from them.
    """
    configured = getattr(getattr(model, "generation_config", None), "eos_token_id", None)
    several = isinstance(configured, list | tuple)
    found = {tokenizer.eos_token_id, *(configured if several else [configured])} - {None}
    out = [(int(i),) for i in sorted(found)]
    for prompt in prompts:
        talks = not isinstance(prompt, str)
        if talks or is_rendered(tokenizer, prompt):
            turn = end_of_turn(tokenizer, prompt if talks else None)
            return out if turn in out else [*out, turn]
    return out
