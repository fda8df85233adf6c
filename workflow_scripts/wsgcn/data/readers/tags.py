"""The classes of an image as a cell of a table spells them."""

import ast
import json
import re
from collections.abc import Collection, Mapping

from wsgcn.data.names import Note, clean_name
from wsgcn.text import format_examples

NO_CLASS = frozenset(
    "- -- – — ? nan nat none null nil na n.a. n/a #n/a #na <na> [] () {} set() undefined '' \"\"".split()
)
"""What tables write, in any case, where there is no value."""

SEPARATORS = "|｜¦,，،；、;\t"
"""What may stand between classes, whichever separator is set; no class contains it unless the config names that."""

WEAK_SEPARATORS = "/ \\ + & : # ~ • - _ and".split() + [" "]
"""What also stands between classes, and in names of classes."""

QUOTES = '"“”„«»`'

BRACKETS = {"[": "]", "(": ")", "{": "}"}


WRAPPED = re.compile(r"(?:frozenset|set|array|Index)\((.*?)(?:,\s*dtype=[\w']+)?\)", re.DOTALL)
"""A list in the name of its type, as NumPy and pandas print some."""

NUMPY_TEXT = re.compile(r"np\.str_\((.*?)\)|\b[ub](?=['\"])")
"""How NumPy 2 prints a text in a list, and the letters before texts of other days."""

TOKENS = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[^\s,'"]+""")
"""The items of a printed list: texts in quotation marks, and words without."""


def split_tags(cell: str, separator: str, known: Collection[str] = ()) -> tuple[str, ...]:
    """The classes that a cell names, cleaned (`names.clean_name`), each once, without words that mean none.

    A cell is one class, several between `separator`s, or a list as Python, JSON, NumPy or pandas print it. known: the
    classes of the config, which may contain what would separate others or mean none.
    """
    return tuple(name for name in split_cell(cell, separator, known) if name in known or not means_none(name))


def split_cell(cell: str, separator: str, known: Collection[str] = ()) -> tuple[str, ...]:
    """As `split_tags`, with words that mean none."""
    text = clean_name(cell)
    if text in known:
        return (text,)
    items = _list_items(text)
    names = map(clean_name, text.split(separator) if items is None else items)
    return tuple(dict.fromkeys(filter(None, names)))


def means_none(name: str) -> bool:
    """Whether tables write a word where there is no value."""
    return name.casefold() in NO_CLASS


def check_tags(files_by_tag: Mapping[str, list[str]], separator: str, where: str, note: Note) -> set[str]:
    """Report tags that are no name of a class, but several in one, or a broken list; returns those.

    files_by_tag: the images of each tag that the config does not name; where: the start of each sentence.
    """
    problems = {name: _problem(name, separator, files_by_tag) for name in files_by_tag}
    broken = {name: problem for name, problem in problems.items() if problem}
    for name, problem in broken.items():
        note(f"{where}: {format_examples(files_by_tag[name])}: tag {_quote(name)} {problem}")
    return set(broken)


def _problem(name: str, separator: str, tags: Collection[str]) -> str | None:
    """Why a tag is no name of a class, as the end of a sentence; None where it may be one."""
    if set(name) & set("\n\r"):
        return "goes over several lines; is a quotation mark missing?"
    strong = next((mark for mark in SEPARATORS if mark in name), None)
    weak = next((mark for mark in WEAK_SEPARATORS if mark in name and _all_tags(name, mark, tags)), None)
    if mark := strong or weak:
        return (
            f"contains {_quote(mark)}: separate classes by {separator}, or set dataset.separator to {_quote(mark)}, "
            "or name it in dataset.classes if it is one class"
        )
    if set(name) & set(QUOTES) or name[0] in "'’‘" or name[-1] == "‘":
        return "has a quotation mark that is not closed, or is none of the table's"
    pairs = {key: value for key, value in BRACKETS.items() if key != "{"}  # no name may contain braces anyway
    if pairs.get(name[0]) == name[-1] or any(name.count(a) != name.count(b) for a, b in pairs.items()):
        return "looks like a part of a list"
    return None


def _quote(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _all_tags(name: str, mark: str, tags: Collection[str]) -> bool:
    """Whether every part of a name is a tag by itself; words stand alone."""
    parts = name.split(f" {mark} " if mark.isalpha() else mark)
    return len(parts) > 1 and all(clean_name(part) in tags for part in parts)


def _list_items(text: str) -> list[str] | None:
    """The items of a printed list, words that mean none among them; None where the text is none, or a broken one."""
    if wrapped := WRAPPED.fullmatch(text):
        text = wrapped[1] or "[]"
    if len(text) < 2 or BRACKETS.get(text[0]) != text[-1]:
        return None
    inner = NUMPY_TEXT.sub(lambda match: match[1] or "", text[1:-1]).strip()
    tokens = TOKENS.findall(inner)
    if not any(token[0] in "'\"" for token in tokens):
        return inner.split(",") if text[0] == "[" else None
    if TOKENS.sub("", inner).strip(", \t\r\n") or any(
        token[0] not in "'\"" and not means_none(token) for token in tokens
    ):
        return None
    return [ast.literal_eval(token) if token[0] in "'\"" else token for token in tokens]
