"""Dump every rule of the workflow as Snakemake has parsed it, and compare two dumps.

From the folder of a checkout, this one or another, as the Snakefile is that of the working directory:

    .venv/bin/python tests/workflow/dump_rules.py dump before.json ablations --configfile configs/voc-animals.yaml
    .venv/bin/python tests/workflow/dump_rules.py compare before.json after.json --ignore script --allow-missing 'x_*'

`dump` parses as `snakemake -n --cores 4 --configfile FILE … -- TARGET` does, with that in `sys.argv`, and plans
nothing. `compare` prints the differences by kind and exits with 1 unless all of them are allowed.

Of each rule: named inputs, outputs and logs are {name: path or list of paths}, unnamed ones under ""; params are what
Snakemake records, their `repr`, in which the order of a dictionary counts.
"""

import argparse
import fnmatch
import json
import os
import sys
from pathlib import Path

FIELDS = ("input", "output", "report", "params", "log", "benchmark", "threads", "resources", "local", "script", "conda")
FIELDS += ("message",)


def dump(path: Path, target: str | None, configfiles: list[str]) -> int:
    """Write the rules that a dry run of `target` parses to `path`, as JSON. Returns how many."""
    from snakemake import cli
    from snakemake.workflow import Workflow

    parsed = []

    def keep_rules(workflow, *_, **__) -> bool:
        parsed.extend(describe(rule, workflow) for rule in workflow.rules)
        return True

    Workflow.execute = keep_rules  # in place of planning
    options = ["--cores", "4", *(["--configfile", *configfiles] if configfiles else [])]
    sys.argv = [str(Path(sys.executable).with_name("snakemake")), "-n", *options, *(["--", target] if target else [])]
    try:
        cli.main(sys.argv[1:])
    except SystemExit as end:
        if end.code:
            raise
    rules = {rule.pop("name"): rule for rule in parsed}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(rules, indent=1, sort_keys=True, default=plain))
    return len(rules)


def describe(rule, workflow) -> dict:
    """A rule's directives as JSON can hold them; paths of sources are relative to the Snakefile's folder."""

    def source(path) -> str | None:
        path = rule.basedir.join(path) if isinstance(path, str) else path
        path = path and os.path.normpath(str(path.get_path_or_uri(secret_free=True)))
        return path and path.removeprefix(f"{workflow.basedir}/")

    reports = {str(file): file.flags["report"] for file in rule.output if "report" in getattr(file, "flags", {})}
    resources = {name: plain(getattr(value, "raw", value)) for name, value in rule.resources.items()}
    return {
        "name": rule.name,
        "input": by_name(rule.input),
        "output": by_name(rule.output),
        "report": {path: report._asdict() | {"caption": source(report.caption)} for path, report in reports.items()},
        "params": {name or "": recorded(value) for name, value in rule.params._allitems()},
        "log": by_name(rule.log),
        "benchmark": rule.benchmark and str(rule.benchmark),
        "threads": resources.pop("_cores"),
        "resources": resources,
        "local": rule.name in workflow._localrules,
        "script": source(rule.script),
        "conda": source(rule.conda_env),
        "message": rule.message,
    }


def by_name(files) -> dict:
    """{name: path, or the list of them}, a list of all unnamed ones under ""."""
    found = {}
    for name, value in files._allitems():
        if name is None:
            found.setdefault("", []).append(text_of(value))
        else:
            found[name] = text_of(value)
    return found


def text_of(value):
    """A path, a list of paths, or a marker for a callable."""
    if callable(value):
        return plain(value)
    return [text_of(item) for item in value] if isinstance(value, list) else str(value)


def recorded(value) -> str:
    """A parameter as Snakemake compares it with that of the last run."""
    return plain(value) if callable(value) else repr(value)


def plain(value):
    """A value as JSON holds it; a marker without an address for a callable; else its `repr`."""
    if callable(value):
        return f"<callable {getattr(value, '__qualname__', type(value).__name__)}>"
    return value if value is None or isinstance(value, (bool, int, float, str)) else repr(value)


def compare(first: dict, second: dict, ignored: set[str], missing: list[str], added: list[str]) -> bool:
    """Print the differences of two dumps by kind. Returns whether all are allowed."""
    fine = True
    absent, extra = first.keys() - second.keys(), second.keys() - first.keys()
    for where, names, patterns in (("first", absent, missing), ("second", extra, added)):
        allowed = {name for name in names if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)}
        for kind, rules in ((", allowed", sorted(allowed)), ("", sorted(names - allowed))):
            if rules:
                some = ", ".join(rules[:8]) + (", …" if len(rules) > 8 else "")
                print(f"only in the {where}{kind}: {len(rules)} rules: {some}")
        fine &= names <= allowed
    shared = sorted(first.keys() & second.keys())
    for field in FIELDS:
        different = [name for name in shared if first[name].get(field) != second[name].get(field)]
        if different:
            fine &= field in ignored
            old, new = (json.dumps(rules[different[0]].get(field), ensure_ascii=False) for rules in (first, second))
            start = max(0, len(os.path.commonprefix([old, new])) - 40)
            kind = f"{field}, ignored" if field in ignored else field
            print(f"{kind}: differs in {len(different)} rules, for example {different[0]}")
            print(f"  first:  …{old[start : start + 160]}\n  second: …{new[start : start + 160]}")
    print(f"{len(shared)} rules are in both; {'all' if fine else 'not all'} differences are allowed")
    return fine


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    dumping, comparing = commands.add_parser("dump"), commands.add_parser("compare")
    dumping.add_argument("path", type=Path, help="the JSON file to write")
    dumping.add_argument("target", nargs="?", help="the default target without it")
    dumping.add_argument("--configfile", nargs="+", default=[])
    comparing.add_argument("first", type=Path)
    comparing.add_argument("second", type=Path)
    comparing.add_argument("--ignore", nargs="+", default=[], choices=FIELDS, help="fields that may differ")
    comparing.add_argument("--allow-missing", nargs="+", default=[], metavar="PATTERN", help="rules of the first only")
    comparing.add_argument("--allow-added", nargs="+", default=[], metavar="PATTERN", help="rules of the second only")
    given = parser.parse_args()
    if given.command == "dump":
        print(f"{dump(given.path.absolute(), given.target, given.configfile)} rules in {given.path}")
    else:
        dumps = [json.loads(path.read_text()) for path in (given.first, given.second)]
        sys.exit(not compare(*dumps, set(given.ignore), given.allow_missing, given.allow_added))
