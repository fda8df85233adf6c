"""The line coverage of workflow_scripts/ after `coverage run -m pytest`, jobs of Snakemake included.

Snakemake runs a copy of each script under another name, after three lines of its own: what was measured there is put
back where it belongs.
"""

import re
from pathlib import Path

from coverage import Coverage, CoverageData

PREAMBLE = 3
SCRIPT = re.compile(r"/\.snakemake/scripts/tmp\w+\.(\w+\.py)$")
SCRIPTS = Path(__file__).parents[1] / "workflow_scripts"

coverage = Coverage()
coverage.combine()
found, moved = coverage.get_data(), CoverageData(no_disk=True)
for file in found.measured_files():
    if name := SCRIPT.search(file):
        lines = [line - PREAMBLE for line in found.lines(file) if line > PREAMBLE]
        moved.add_lines({str(SCRIPTS / name[1]): lines})
    elif Path(file).is_file():
        moved.add_lines({file: found.lines(file)})
for path in SCRIPTS.rglob("*.py"):
    moved.touch_file(str(path))
found.erase()
found.update(moved)
found.write()
coverage.report(show_missing=True, skip_covered=True, include=[f"{SCRIPTS}/*"])
