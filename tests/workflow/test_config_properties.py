"""Any config gives experiments, or sentences about what is wrong with it."""

import copy
import functools
import re

import strategies  # noqa: F401
from configs import CONFIG, SCHEMA
from hypothesis import given, settings
from hypothesis import strategies as st

from wsgcn.workflow.experiments import describe, read_experiments
from wsgcn.workflow.sharing import folders


def section_paths(settings, path=()):
    """The path of every section of nested settings, also of one whose key is not text."""
    yield path
    for key, value in settings.items():
        if isinstance(value, dict):
            yield from section_paths(value, (*path, key))


DATES = st.dates() | st.datetimes()
LONG = st.sampled_from(["9" * 5000, "0." + "1" * 5000, "[" * 5000, "{" * 5000, "x\n" * 5000, "1e" + "9" * 500])
SPELLED = st.sampled_from(
    ["1e-2", "12:30", "2021-02-30", "1_0", "0x1f", "yes", "null", "base", "none", "wsgcn-p", "a\n"]
)
TEXTS = st.text(max_size=8) | LONG | SPELLED
KEYS = TEXTS | st.integers() | st.booleans() | st.none() | DATES | st.sampled_from(["refine.lr", "seed", "cam"])
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.just(10**400) | st.floats() | TEXTS | DATES | st.binary(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)
ADDED = {  # to sections with free keys: values that are almost right
    ("experiments",): st.dictionaries(KEYS, ANYTHING, max_size=2),
    ("sweeps",): st.lists(ANYTHING, max_size=3),
    ("against",): KEYS,
}


@settings(max_examples=800)
@given(st.data())
def test_any_config_gives_experiments_or_sentences(data):
    changed = copy.deepcopy(CONFIG)
    for _ in range(data.draw(st.integers(1, 3))):
        paths = sorted(section_paths(changed), key=str)
        free = [path for path in paths if path in ADDED]
        path = data.draw(st.sampled_from(paths) | st.sampled_from(free or paths))
        section = functools.reduce(lambda inner, name: inner[name], path, changed)
        keys = st.sampled_from(sorted(section, key=str)) if section else KEYS
        match data.draw(st.sampled_from(["value", "remove", "add"])):
            case "value":
                section[data.draw(keys)] = data.draw(ANYTHING)
            case "remove":
                section.pop(data.draw(keys), None)
            case "add":
                section[data.draw(KEYS)] = data.draw(ADDED.get(path, ANYTHING) | ANYTHING)
    try:
        experiments = read_experiments(changed, SCHEMA)
    except ValueError as error:
        assert type(error) is ValueError
        for line in str(error).split("\n"):
            assert re.match("config: (unknown key |two experiments |.+: )", line)
            assert line.isprintable() and len(line) < 1000
    else:
        assert changed["experiment"] in experiments
        assert all(describe(name, changed, experiments) for name in experiments) and folders(experiments)
