"""Export to other tools and import from them, as far as it is planned."""

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from wsgcn.data.dataset import Dataset
from wsgcn.exporting.contract import LabelledImage
from wsgcn.files import why_skipped
from wsgcn.workflow.rows import load
from wsgcn.workflow.stages import EXPORTERS, READERS


def request_problem(config: Mapping, words: Collection[str]) -> str | None:
    """Why what a run asks for cannot be exported or imported, as a sentence; None where it can, or is not asked for."""
    if "export" in words and not config["export"]:
        return f"config: export: lists no format; set it to some of {', '.join(EXPORTERS)}, such as [coco]"
    if "import_corrections" not in words:
        return None
    if not (source := config["exchange"]["returned"]):
        return "config: exchange.returned: is empty; set it to the file or folder that came back"
    return None if Path(source).exists() else f"config: exchange.returned: {source} does not exist"


def class_problems(formats: Iterable[str], classes: Iterable[str]) -> list[str]:
    """A sentence for each class whose name a chosen format cannot hold."""
    rows = {name: EXPORTERS[name] for name in formats if EXPORTERS[name].name_problem}
    return [
        f"export: {name}: class {own} {why}"
        for name, row in rows.items()
        for own in classes
        if (why := load(row.name_problem)(own))
    ]


def data_root(section: Mapping, results: str) -> str:
    """The folder of the images, or the results of a data set that is drawn. section: `dataset` of the config."""
    return results if READERS[section["kind"]].drawn else section["root"]


def corrections_folder(section: Mapping, results: str) -> str:
    """The folder of the data set's corrections."""
    return f"{data_root(section, results)}/{section['corrections']}"


def exported_files(data: Dataset, root: str, images: Iterable[str]) -> list[str]:
    """The files of some images, relative to the parent of the data set's folder `root`."""
    name = os.path.basename(os.path.abspath(root))
    return [Path(name, os.path.relpath(data.images[image].path, root)).as_posix() for image in images]


def export_records(folder: str) -> list[str]:
    """What is known of the exports of all experiments, below the data set's folder of exports."""
    return sorted(map(str, Path(folder).glob("**/unchanged/*.json")))


def labelled_images(
    ids: Sequence[str], files: Sequence[str], labels: Sequence[str], confidences: Sequence[str]
) -> list[LabelledImage]:
    """The images that have a label, without those that were skipped, which are printed.

    files, labels, confidences: as in `LabelledImage`.
    """
    found = []
    for image, file, label, confidence in zip(ids, files, labels, confidences, strict=True):
        if why := why_skipped(label):
            print(f"left out {image} ({why})")
            continue
        found.append(LabelledImage(image, file, Path(label), Path(confidence)))
    return found
