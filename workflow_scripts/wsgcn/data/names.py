"""Names of images and classes: what file systems, Snakemake and MLflow accept, and which of them look alike."""

import difflib
import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from wsgcn.text import format_count, metric_part

CONTROL = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\u2028\\u2029\\u202a-\\u202e\\u2066-\\u2069\\ud800-\\udfff]")
"""Characters that no name may contain: they break lines or change the direction of the text around them."""

FORBIDDEN = re.compile(rf"""[/\\{{}}*?:"<>|]|{CONTROL.pattern}""")
"""Characters that no image id may contain, since it becomes part of file names."""

MAX_ID_BYTES = 200
"""Longest image id; file systems allow 255 bytes per name, and the workflow adds a prefix and a suffix."""

BLANKS = re.compile("[ \\u00a0\\u1680\\u2000-\\u200a\\u202f\\u205f\\u3000]+")
"""Blanks of any width, which a table cannot tell from each other."""

INVISIBLE = dict.fromkeys(map(ord, "\u00ad\u061c\u200b\u200e\u200f\u2060\ufeff"))
"""Characters that nobody sees and that no language needs in a name, for `str.translate`."""

HOMOGLYPHS = str.maketrans(
    "АВЕКМНОРСТУХІЈЅаеорсухіјѕΑΒΕΖΗΙΚΜΝΟΡΤΥΧο’‘‐‑‒–—−_-", "ABEKMHOPCTYXIJSaeopcyxijsABEZHIKMNOPTYXo''        "
)
"""Cyrillic and Greek letters that look like Latin ones; what stands between words becomes a blank."""

Note = Callable[[str], None]
"""Takes one problem, a sentence, and returns None. Readers report all problems to it instead of raising the first."""


def clean_name(name: str) -> str:
    """A name without what nobody sees: composed letters (NFC), single plain blanks within, nothing of no width."""
    return BLANKS.sub(" ", unicodedata.normalize("NFC", name).translate(INVISIBLE)).strip()


def appearance(name: str) -> str:
    """Equal for names that look alike, or differ only in case, width, or in marks between words and at the ends."""
    plain = unicodedata.normalize("NFKC", clean_name(name)).translate(HOMOGLYPHS).casefold()
    words = " ".join("".join(c for c in plain if unicodedata.category(c) != "Cf").split())
    return words.strip(" .:!*") or words


def id_problem(identifier: str) -> str | None:
    """Why an image id cannot be part of a file name, as the end of a sentence; None where it can."""
    if found := FORBIDDEN.search(identifier):
        return f'has {ascii(found[0])} in its name; not allowed are / \\ {{ }} * ? : " < > | and control characters'
    if identifier.startswith(".") or identifier != identifier.strip():
        return "has a name that starts with a dot, or starts or ends with white space"
    if not 0 < len(identifier.encode(errors="surrogatepass")) <= MAX_ID_BYTES:
        return f"has a name that is empty or longer than {MAX_ID_BYTES} bytes"
    return None


def pattern_problem(text: str, what: str = "path") -> str | None:
    """Why Snakemake would read `text` as a pattern, as the end of a sentence; None where it would not."""
    return f"has {{ or }} in its {what}, which Snakemake reads as a wildcard" if set(text) & set("{}") else None


def check_class_names(classes: Sequence[str], where: str, note: Note) -> None:
    """Report classes whose names are reserved, cannot be printed, or become the same name of a metric.

    where: the file that lists the classes, the start of each sentence.
    """
    for name in (name for name in classes if appearance(name) == "background"):
        note(f"{where}: class {name} is reserved for value 0 of the masks and must not be a tag")
    by_metric: dict[str, str] = {}
    for name in classes:
        if CONTROL.search(name):
            note(f"{where}: class {ascii(name)} contains a character that cannot be printed")
        if problem := pattern_problem(name, "name"):
            note(f"{where}: class {name} {problem}")
        first = by_metric.setdefault(metric_part(name), name)
        if first != name:
            note(f"{where}: classes {first} and {name} have the same metric name, {metric_part(name)}")


def check_appearance(counts: Mapping[str, int], where: str, note: Note) -> set[str]:
    """Report names that look alike; returns all of them but the most frequent.

    counts: the number of images of each; where: the start of each sentence.
    """
    doubtful: set[str] = set()
    groups: dict[str, list[str]] = {}
    for name in counts:
        groups.setdefault(appearance(name), []).append(name)
    for names in (names for names in groups.values() if len(names) > 1):
        caseless = len({name.casefold() for name in names}) == 1
        shown = [f"{name if caseless else ascii(name)[1:-1]} ({format_count(counts[name], 'image')})" for name in names]
        note(
            f"{where}: tags {' and '.join(shown)} look alike; write them the same way, "
            "or list them in dataset.classes if they are several"
        )
        doubtful |= set(names) - {max(names, key=lambda name: counts[name])}
    return doubtful


def class_indices(names: Iterable[str], classes: Sequence[str]) -> tuple[int, ...]:
    """The numbers, from 1, of those names that are classes, each once, ascending."""
    return tuple(sorted({1 + classes.index(name) for name in names if name in classes}))


def describe_ignored(ignored: Iterable[str], names_by_image: Mapping[str, Collection[str]]) -> list[str]:
    """A sentence for each name that the config leaves out: in how many images."""
    counts = {name: sum(name in names for names in names_by_image.values()) for name in ignored}
    return [f"dataset.ignore: {name} is left out, in {format_count(n, 'image')}" for name, n in counts.items()]


def unknown_class(name: str, known: Sequence[str]) -> str:
    """The end of a sentence about a class that is not among the known ones."""
    return f"unknown class {name}" + (nearest_name(name, known) or f"; known are {', '.join(known)}")


def nearest_name(name: str, known: Iterable[str]) -> str:
    """The end of a sentence that suggests the most similar known name in any case; empty where none is similar."""
    by_lower_case = {other.lower(): other for other in known}
    similar = difflib.get_close_matches(name.lower(), by_lower_case, n=1)
    return f"; did you mean {by_lower_case[similar[0]]}?" if similar else ""
