"""The images and masks of a data set, looked for and opened before the first job."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from wsgcn.data.dataset import LISTS, Dataset
from wsgcn.data.mask_tags import mask_problems, mask_remarks, masked_images
from wsgcn.data.neighbours import Finder
from wsgcn.data.sizes import image_facts
from wsgcn.files import why_no_file
from wsgcn.text import format_examples
from wsgcn.workflow.check import Inspection, check_images


def find_images(data: Dataset, root: str) -> tuple[Dataset, dict[str, str], list[str]]:
    """The data set with the files that are there in place of names that differ from them as `Finder` says.

    Also returns the images that are missing, {id: a sentence}, and a sentence for each file that two images name.
    """
    finder = Finder(taken=[image.path for image in data.images.values()])
    found: dict[str, str] = {}
    missing: dict[str, str] = {}
    for image in data.images.values():
        if why := why_no_file(image.path):
            lost = why == "does not exist"
            if other := finder.find(image.path) if lost else None:
                found[image.id] = other
            else:
                missing[image.id] = f"image {image.path} {why}{finder.where_else(image.path, root) if lost else ''}"
    if not found:
        return data, missing, []
    paths = {image.id: found.get(image.id, image.path) for image in data.images.values()}
    shared = Counter(paths.values())
    doubled = [f"{path} is the file of {count} images of the lists" for path, count in shared.items() if count > 1]
    names = [f"{data.images[i].path}, which is {Path(path).name}" for i, path in found.items()]
    remark = f"found under another name: {format_examples(names)}"
    changed = data.change_lists(lambda images: {i: replace(image, path=paths[i]) for i, image in images.items()})
    return replace(changed, remarks=(*data.remarks, remark)), missing, doubled


class Opened(NamedTuple):
    """What opening all images and masks has shown: problems; images that are skipped; what is worth knowing."""

    problems: list[str]
    skipped: list[str]
    remarks: list[str]


def open_images(data: Dataset, own: str | Path, threads: int, skips: bool) -> Opened:
    """Open every image and mask that has changed since the last check, which is cached in the folder `own`.

    Of masks that are painted later, the size is compared with the image's. skips: whether the workflow goes on without
    images that are wrong.
    """
    files = [(image.path, None if image.painted else image.mask) for image in data.images.values()]
    found = check_images(files, data.mask_values, Path(own) / "data/checked.json", threads)
    of_images = {path: own.image for path, own in found.items() if own.image}
    masked = masked_images(data, {path: own.values for path, own in found.items() if own.values is not None})
    of_masks = [own.mask for own in found.values() if own.mask] + mask_problems(masked)
    of_masks += _size_problems(data, Path(own) / "data/sizes.json")
    remarks = [*mask_remarks(data, masked), *_image_remarks(data, found)]
    if not skips:
        return Opened([*of_images.values(), *of_masks], [], remarks)
    broken = [image.id for image in data.images.values() if image.path in of_images]
    return Opened(empty_lists(data, broken, "can be read") + of_masks, list(of_images.values()), remarks)


def _size_problems(data: Dataset, cache_file: Path) -> list[str]:
    """A sentence for each image of another size than the one that its mask is to be painted at."""
    painted = {image.path: image.painted for image in data.images.values() if image.painted}
    facts = image_facts([image.path for image in data.images.values()], cache_file) if painted else {}
    return [
        f"image {path} is {facts[path].width}×{facts[path].height}, but its annotations are of "
        f"{own.width}×{own.height}{', before EXIF turns it' if facts[path][:2] == (own.width, own.height) else ''}"
        for path, own in painted.items()
        if path in facts and facts[path][:2] != (own.height, own.width)
    ]


def _image_remarks(data: Dataset, found: Mapping[str, Inspection]) -> list[str]:
    """All images being grey; of several frames, only the first being used; masks of images that EXIF turns."""
    several = [path for path, own in found.items() if own.frames > 1]
    turned = [image.path for image in data.images.values() if image.mask and found[image.path].orientation > 1]
    all_grey = bool(data.images) and all(found[image.path].grey for image in data.images.values())
    return [
        *(["all images are grey: processed as three equal channels, with the settings of colours"] if all_grey else []),
        *(f"{format_examples(several)}: of several frames or pages, only the first is used" for _ in several[:1]),
        *(f"{format_examples(turned)}: turned upright by EXIF, so the masks must be, too" for _ in turned[:1]),
    ]


def empty_lists(data: Dataset, lost: Iterable[str], what: str) -> list[str]:
    """A sentence for each list of which all images are lost."""
    lists, lost = {name: getattr(data, name).keys() for name in LISTS}, set(lost)
    return [f"dataset.{name}: none of its images {what}" for name, ids in lists.items() if ids and ids <= lost]
