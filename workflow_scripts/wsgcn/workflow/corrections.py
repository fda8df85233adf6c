"""The corrections of a data set: found where the workflow is planned, opened before the first job."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from wsgcn.data.dataset import Dataset, mask_values
from wsgcn.data.names import nearest_name
from wsgcn.files import IGNORE
from wsgcn.text import format_count, format_examples
from wsgcn.workflow.check import check_images


class Found(NamedTuple):
    """The file of each corrected image, by its id, in the order of the data set; a sentence for each file that is no
    image's."""

    files: dict[str, str]
    problems: list[str]


def find_corrections(data: Dataset, folder: str) -> Found:
    """What the folder of corrections holds, hidden files and folders left out. Nothing is opened."""
    where = Path(folder)
    paths = sorted(path for path in where.iterdir() if path.is_file()) if where.is_dir() else []
    own: dict[str, str] = {}
    problems = []
    for path in (path for path in paths if not path.name.startswith(".")):
        if path.suffix.lower() != ".png":
            problems.append(f"correction {path} is no PNG; a correction is <image>.png, a palette PNG of class indices")
        elif path.stem not in data.images:
            problems.append(f"correction {path} is of no image of the lists{nearest_name(path.stem, data.images)}")
        elif path.stem in own:
            problems.append(f"corrections {own[path.stem]} and {path} are of one image")
        else:
            own[path.stem] = str(path)
    return Found({image: own[image] for image in data.images if image in own}, problems)


def open_corrections(
    data: Dataset, corrections: Mapping[str, str], own: str | Path, threads: int
) -> tuple[list[str], list[str]]:
    """Open every correction that has changed since the last check, which is cached in the folder `own`.

    Returns a sentence for each that is broken, of another size than its image, or holds values that are no class, and
    what is worth knowing. An image that is not there yet, as of a demo that is not drawn, is left to its job.
    """
    files = {data.images[i].path: (i, path) for i, path in corrections.items() if Path(data.images[i].path).is_file()}
    pairs = [(image, path) for image, (_, path) in files.items()]
    checked = check_images(pairs, mask_values(data.classes), Path(own) / "data/corrections.json", threads)
    problems = [re.sub("^(mask|label) ", "correction ", found.mask) for found in checked.values() if found.mask]
    remarks = []
    for image, found in checked.items():
        name, path = files[image]
        tags = data.images[name].classes
        if added := [data.classes[k - 1] for k in found.values or () if k not in (0, IGNORE, *tags)]:
            remarks.append(
                f"correction {path} shows {', '.join(added)}, no tag of {name}: it counts in this label alone; with "
                "the tag, the classifier learns it too"
            )
    labelled, others = ([i for i in corrections if (i in data.label) == wanted] for wanted in (True, False))
    counted = [f"{format_count(len(labelled), 'label')} corrected: {format_examples(labelled)}"] if labelled else []
    idle = (
        [f"{format_count(len(others), 'correction')} of no image to label: {format_examples(others)}"] if others else []
    )
    return problems, [*counted, *remarks, *idle]
