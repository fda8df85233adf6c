"""Names of images and classes: what a file system, Snakemake and MLflow take."""

import difflib
import re
from collections.abc import Callable, Iterable, Sequence

from wsgcn.text import metric_part

CONTROL = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\u2028\\u2029\\u202a-\\u202e\\u2066-\\u2069\\ud800-\\udfff]")
"""What no name holds, as names stand in lines and are not to turn what stands beside them."""


FORBIDDEN = re.compile(rf"""[/\\{{}}*?:"<>|]|{CONTROL.pattern}""")
"""What no image id holds, as it names files too."""


MAX_ID_BYTES = 200
"""Bytes of an image id: file systems take 255 a name, and ours have something before and after it."""


Note = Callable[[str], None]
"""Takes down a problem."""


def problem_of_id(identifier: str) -> str | None:
    """Why an image id cannot name files of ours, as the end of a sentence; None where it can."""
    if found := FORBIDDEN.search(identifier):
        return f'has {ascii(found[0])} in its name; not allowed are / \\ {{ }} * ? : " < > | and control characters'
    if identifier.startswith(".") or identifier != identifier.strip():
        return "has a name that begins with a dot, or begins or ends with a blank"
    if not 0 < len(identifier.encode(errors="surrogatepass")) <= MAX_ID_BYTES:
        return f"has a name of no or more than {MAX_ID_BYTES} bytes"
    return None


def pattern_problem(text: str, what: str = "path") -> str | None:
    """What Snakemake would take for a pattern, as the end of a sentence."""
    return f"has {{ or }} in its {what}, which Snakemake takes for a pattern" if set(text) & set("{}") else None


def check_class_names(classes: Sequence[str], where: str, note: Note) -> None:
    if "background" in classes:
        note(f"{where}: class background: that is what is left, value 0 of every mask, and no tag")
    metrics = {}
    for name in classes:
        if CONTROL.search(name):
            note(f"{where}: class {ascii(name)} holds a character that cannot be printed")
        if wrong := pattern_problem(name, "name"):
            note(f"{where}: class {name} {wrong}")
        first = metrics.setdefault(metric_part(name), name)
        if first != name:
            note(f"{where}: classes {first} and {name} would both be {metric_part(name)} among the metrics")


def unknown_class(name: str, names: Sequence[str]) -> str:
    return f"unknown class {name}" + (nearest_name(name, names) or f"; known are {', '.join(names)}")


def nearest_name(name: str, names: Iterable[str]) -> str:
    by_lower = {known.lower(): known for known in names}
    near = difflib.get_close_matches(name.lower(), by_lower, n=1)
    return f"; did you mean {by_lower[near[0]]}?" if near else ""
