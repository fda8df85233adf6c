"""COCO's JSON of instances: https://cocodataset.org/#format-data.

A polygon of COCO has no holes, and pycocotools unites several rings of an object, so a ring within a ring fills its
hole. Run-length codes hold every mask; as polygons, holes are cut open (`outlines`).
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from pycocotools import mask as coco_mask

from wsgcn.data.coco_masks import decode_segmentation
from wsgcn.data.names import Note
from wsgcn.exporting.contract import Canvas, Known, LabelledImage, Returned
from wsgcn.exporting.objects import count_runs, objects_of
from wsgcn.exporting.outlines import flatten_ring, outlines
from wsgcn.exporting.returned import read_json_files
from wsgcn.files import atomic_write

Annotation = dict[str, object]


def write_coco(
    outputs: Sequence[str], images: Sequence[LabelledImage], classes: Sequence[str], params: Mapping
) -> None:
    """Write one JSON file. params: settings (objects: per what an object, coco: `rle` or `polygons`,
    polygon_tolerance [pixels]). The id of a category is its class's value in a label."""
    settings = params["settings"]
    entries, annotations = [], list[Annotation]()
    for number, image in enumerate(images, start=1):
        height, width = image.read_label().shape
        entries.append({"id": number, "file_name": image.name, "height": height, "width": width})
        for found in objects_of(image, settings["objects"]):
            runs = count_runs(found.box[::-1], found.mask.T, (width, height))
            code = coco_mask.frPyObjects({"size": [height, width], "counts": runs}, height, width)
            score = {} if found.score is None else {"score": found.score}
            own = {
                "id": len(annotations) + 1,
                "image_id": number,
                "category_id": found.value,
                "iscrowd": 0,
                "area": int(coco_mask.area(code)),
                "bbox": coco_mask.toBbox(code).tolist(),
            }
            if settings["coco"] == "polygons":
                rings = outlines(found.mask, settings["polygon_tolerance"], found.box)
                segmentation: object = [flatten_ring(ring) for ring in rings]
            else:
                segmentation = {"size": [height, width], "counts": code["counts"].decode()}
            annotations.append(own | {"segmentation": segmentation} | score)
    categories = [{"id": value, "name": name, "supercategory": ""} for value, name in enumerate(classes, start=1)]
    content = {"info": {}, "licenses": [], "images": entries, "categories": categories, "annotations": annotations}
    with atomic_write(outputs[0]) as path:
        path.write_text(json.dumps(content), encoding="utf-8")


def read_coco(returned: Returned, known: Known, note: Note) -> Iterator[tuple[str, np.ndarray]] | None:
    """The labels of the images that COCO files list; what no object covers is background."""
    contents = {
        name: content
        for name, content in read_json_files(returned).items()
        if isinstance(content, dict) and {"images", "annotations", "categories"} <= content.keys()
    }
    return _labels(contents, returned, known, note) if contents else None


def _labels(
    contents: Mapping[str, dict], returned: Returned, known: Known, note: Note
) -> Iterator[tuple[str, np.ndarray]]:
    for name, content in contents.items():
        where = returned.where(name)
        try:
            names = {entry["id"]: str(entry["name"]) for entry in content["categories"]}
            objects = defaultdict(list)
            for annotation in content["annotations"]:
                objects[annotation["image_id"]].append(annotation)
            entries = [(entry["id"], str(entry["file_name"]), entry) for entry in content["images"]]
        except (KeyError, TypeError) as error:
            note(f"{where}: an entry lacks {error}, which COCO's format has")
            continue
        for number in objects.keys() - {number for number, _, _ in entries}:
            note(f"{where}: annotation {objects[number][0].get('id')} is of image {number}, which is not listed")
        for number, file, entry in entries:
            place = f"{where}: image {file}"
            image = known.find_image(file, place, note)
            if image is None:
                continue
            own_size, size = (entry.get("height"), entry.get("width")), known.sizes[image]
            if own_size != (None, None) and not known.check_size(image, own_size, place, note):
                continue
            canvas = Canvas(size)
            for annotation in objects[number]:
                own = f"{where}: annotation {annotation.get('id')} of {file}"
                try:
                    value = known.find_class(names.get(annotation.get("category_id"), "?"), own, note)
                    mask = decode_segmentation(annotation.get("segmentation"), *size)
                except (ValueError, TypeError) as error:
                    note(f"{own}: {error}")
                    continue
                if value is not None:
                    canvas.paint(mask, value)
            yield image, canvas.label()
