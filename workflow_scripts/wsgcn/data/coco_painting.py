"""The masks of COCO's images, painted by jobs from the objects in the JSONs."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from wsgcn.data.coco_index import MIN_RING, CocoError, CocoIndex, load_index
from wsgcn.data.coco_json import read_entries
from wsgcn.data.coco_masks import CocoObject, paint_label
from wsgcn.data.dataset import painting_digest
from wsgcn.files import IGNORE, write_label


def image_id(file: str) -> str:
    """The id of an image, its file's name without folder and extension."""
    return os.path.splitext(os.path.basename(file))[0]


def mask_path(results: str | Path, image: str) -> str:
    """The painted mask of an image. results: the data set's folder."""
    return f"{results}/data/masks/{image}.png"


def index_folder(results: str | Path) -> Path:
    """Where the indices of the JSONs are cached. results: the data set's folder."""
    return Path(results) / "data/coco"


def numbered_categories(categories: Mapping[str, Mapping[int, str]]) -> dict[str, int]:
    """The value in a mask of each category of some JSONs, by name: 1, 2, … in the order of ids, which may have gaps.

    categories: {id: name} by the JSON's path. Raises CocoError where JSONs disagree, or where a PNG cannot hold them.
    """
    union: dict[int, str] = {}
    for path, own in categories.items():
        for number, name in own.items():
            if union.setdefault(number, name) != name:
                raise CocoError(f"{path}: category {number} is {name}, but {union[number]} in another list's JSON")
    values = {union[number]: value for value, number in enumerate(sorted(union), start=1)}
    if len(values) < len(union):
        twice = next(name for name in union.values() if list(union.values()).count(name) > 1)
        raise CocoError(f"{', '.join(categories)}: category {twice} has several ids")
    if len(values) >= IGNORE:
        raise CocoError(f"{', '.join(categories)}: {len(values)} categories; a label PNG holds at most {IGNORE - 1}")
    return values


def paint_masks(outputs: Sequence[str], params: Mapping) -> None:
    """Write the masks of some images, palette PNGs of COCO's stated sizes, numbered by `numbered_categories`.

    outputs: <results>/data/masks/<image>.png; params: sources, the paths of the JSONs; digest, what
    `painting_digest` gave for these images when the job was planned. Raises ValueError where a JSON has changed since.
    """
    folder = index_folder(Path(outputs[0]).parents[2])
    indices = {path: load_index(path, folder) for path in params["sources"]}
    values = numbered_categories({path: index.categories for path, index in indices.items()})
    wanted = {image_id(output): output for output in outputs}
    places: dict[str, tuple[str, int]] = {}
    for path, index in indices.items():
        for k, file in enumerate(index.files):
            if (image := image_id(file)) in wanted:
                places.setdefault(image, (path, k))
    digests = [indices[path].digests[k] for path, k in (places[image] for image in wanted if image in places)]
    if places.keys() != wanted.keys() or painting_digest(list(values), digests) != params["digest"]:
        raise ValueError(f"{', '.join(params['sources'])}: changed since this run was planned; start it again")
    for image, output in wanted.items():
        path, k = places[image]
        height, width = indices[path].sizes[k].tolist()
        write_label(output, paint_label(_objects(path, indices[path], k, values), height, width))


def _objects(path: str, index: CocoIndex, k: int, values: Mapping[str, int]) -> list[CocoObject]:
    """The objects of an image, without rings that cover no pixel and objects that have no others."""
    found = []
    for entry in read_entries(path, index.objects_of(k)):
        code = entry["segmentation"]  # type: ignore[index]
        if isinstance(code, list):
            code = [ring for ring in code if len(ring) >= MIN_RING]
        if code:
            value = values[index.categories[entry["category_id"]]]  # type: ignore[index]
            found.append(CocoObject(code, value, bool(entry.get("iscrowd"))))  # type: ignore[attr-defined]
    return found
