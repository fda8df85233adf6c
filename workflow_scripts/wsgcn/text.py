"""Text: parts of messages, suggestions of similar names, names that MLflow accepts, dotted keys."""

import difflib
import re
from collections.abc import Mapping, Sequence


def shorten(text: str) -> str:
    """Any text as part of a sentence: printable, at most 120 characters, cut where longer."""
    line = printable(text[:200])
    return line if len(line) <= 120 else f"{line[:110]} …"


def printable(text: str) -> str:
    """The text with every non-printable character, line breaks too, as its escape sequence."""
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)


def hint(name: str, known: list[str]) -> str:
    """The end of a sentence that suggests the most similar known name; empty where none is similar."""
    similar = difflib.get_close_matches(name, known, n=1, cutoff=0.7)
    return f"; did you mean {shorten(similar[0])}?" if similar else ""


def flatten(settings: Mapping, prefix: str = "") -> dict[str, object]:
    """Nested settings by dotted keys: {"refine": {"lr": 0.01}} becomes {"refine.lr": 0.01}."""
    flat: dict[str, object] = {}
    for key, value in settings.items():
        flat |= flatten(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat


def metric_part(name: str) -> str:
    """A class's name as part of a metric's name: "/", "." and what MLflow does not accept become underscores."""
    return re.sub(r"[^\w\- ]", "_", name)


def format_count(count: int, noun: str) -> str:
    """A number with its noun: 1 image, 2 images."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def format_examples(names: Sequence[str], noun: str = "image") -> str:
    """Who something is true of: `image a.png`, or `3 images, the first a.png`."""
    return f"{noun} {names[0]}" if len(names) == 1 else f"{len(names)} {noun}s, the first {names[0]}"
