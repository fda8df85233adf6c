"""Text for people: parts of sentences, hints at the nearest name, names as MLflow takes them, dotted keys."""

import difflib
import re
from collections.abc import Mapping


def shorten(text: str) -> str:
    """A text that may hold anything as a part of one sentence: printable, and not much longer than one."""
    line = printable(text[:200])
    return line if len(line) <= 120 else f"{line[:110]} …"


def printable(text: str) -> str:
    """A text that may hold anything with what cannot be printed as its escape."""
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)


def hint(name: str, known: list[str]) -> str:
    """The end of a sentence that names the nearest known name, if one is near."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.7)
    return f"; did you mean {shorten(near[0])}?" if near else ""


def flatten(settings: Mapping, prefix: str = "") -> dict[str, object]:
    """Nested settings as dotted keys: {"refine": {"lr": 0.01}} to {"refine.lr": 0.01}."""
    flat = {}
    for key, value in settings.items():
        flat |= flatten(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat


def metric_part(name: str) -> str:
    """A class's name as a part of a metric's: characters that MLflow does not take become underscores, and / and ."""
    return re.sub(r"[^\w\- ]", "_", name)
