"""Label Studio's tasks: JSON with brush masks as predictions, and annotations that come back.

https://labelstud.io/guide/predictions, https://labelstud.io/tags/brushlabels and https://labelstud.io/tags/polygonlabels.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import quote, unquote
from xml.sax.saxutils import quoteattr

import numpy as np

from wsgcn.data.coco_masks import fill
from wsgcn.data.names import Note
from wsgcn.exporting.brush import decode_brush, encode_brush
from wsgcn.exporting.contract import Canvas, Known, LabelledImage, Returned
from wsgcn.exporting.objects import count_runs, objects_of
from wsgcn.exporting.returned import read_json_files
from wsgcn.files import atomic_write, voc_palette

NO_MASKS = {"choices", "datetime", "number", "rating", "taxonomy", "textarea"}
"""Types of results that say something of a region or an image, and repeat the region's value."""

FROM_NAME, TO_NAME = "tag", "image"
"""The names of the controls in Label Studio's own template of semantic segmentation with masks."""


def write_label_studio(
    outputs: Sequence[str], images: Sequence[LabelledImage], classes: Sequence[str], params: Mapping
) -> None:
    """Write the tasks, and the labelling interface that they need as XML.

    params: settings (objects: per what an object, image_prefix: what stands before an image's file in a task).
    """
    settings = params["settings"]
    tasks = [_task(image, classes, settings["objects"], settings["image_prefix"]) for image in images]
    with atomic_write(outputs[0]) as path:
        path.write_text(json.dumps(tasks), encoding="utf-8")
    with atomic_write(outputs[1]) as path:
        path.write_text(_interface(classes), encoding="utf-8")


def _task(image: LabelledImage, classes: Sequence[str], by: str, prefix: str) -> dict:
    height, width = image.read_label().shape
    regions = [
        {
            "id": f"{image.id}-{number}",
            "type": "brushlabels",
            "from_name": FROM_NAME,
            "to_name": TO_NAME,
            "origin": "prediction",
            "original_width": width,
            "original_height": height,
            "image_rotation": 0,
            "value": {
                "format": "rle",
                "rle": encode_brush(count_runs(found.box, found.mask, (height, width))),
                "brushlabels": [classes[found.value - 1]],
            },
        }
        | ({} if found.score is None else {"score": found.score})
        for number, found in enumerate(objects_of(image, by), start=1)
    ]
    confidence = image.read_confidence()
    score = {} if confidence is None else {"score": round(float(confidence.mean()), 4)}
    prediction = {"model_version": "wsgcn", "result": regions} | score
    return {"data": {TO_NAME: prefix + quote(image.file)}, "predictions": [prediction]}


def _interface(classes: Sequence[str]) -> str:
    colours = voc_palette()
    labels = "".join(
        f'    <Label value={quoteattr(name)} background="#{bytes(colours[value]).hex()}"/>\n'
        for value, name in enumerate(classes, start=1)
    )
    return (
        f'<View>\n  <Image name="{TO_NAME}" value="${TO_NAME}" zoom="true"/>\n'
        f'  <BrushLabels name="{FROM_NAME}" toName="{TO_NAME}">\n{labels}  </BrushLabels>\n</View>\n'
    )


def read_label_studio(returned: Returned, known: Known, note: Note) -> Iterator[tuple[str, np.ndarray]] | None:
    """The labels of the tasks that are annotated: submitted, not skipped. What no region covers is background."""
    contents = {
        name: content
        for name, content in read_json_files(returned).items()
        if isinstance(content, list)
        and content
        and all(isinstance(t, dict) and isinstance(t.get("data"), dict) for t in content)
    }
    return _labels(contents, returned, known, note) if contents else None


def _labels(
    contents: Mapping[str, list], returned: Returned, known: Known, note: Note
) -> Iterator[tuple[str, np.ndarray]]:
    for name, tasks in contents.items():
        for number, task in enumerate(tasks, start=1):
            where = f"{returned.where(name)}: task {task.get('id', number)}"
            try:
                found = _read_task(task, known, where, note)
            except (AttributeError, TypeError) as error:
                note(f"{where}: is not as Label Studio writes it: {error}")
                continue
            if found:
                yield found


def _read_task(task: Mapping, known: Known, where: str, note: Note) -> tuple[str, np.ndarray] | None:
    """The image of a task and its label; None where it is not annotated, or with a note not clear which it is."""
    annotations = [own for own in task.get("annotations") or () if not own.get("was_cancelled")]
    truths = [own for own in annotations if own.get("ground_truth")]
    chosen = truths if len(truths) == 1 else annotations
    if not chosen:
        return None
    if len(chosen) > 1:
        note(f"{where}: has {len(chosen)} annotations; mark one of them as ground truth, or delete the others")
        return None
    values = (value for value in task["data"].values() if isinstance(value, str))
    paths = [value.rpartition("?d=")[2].partition("?")[0] for value in values]
    files = [*map(unquote, paths), *paths]
    image = known.find_image(next(filter(known.match, files), files[0] if files else ""), where, note)
    if image is None:
        return None
    canvas = Canvas(known.sizes[image])
    for region in chosen[0].get("result") or ():
        _paint(canvas, region, known, image, f"{where}: region {region.get('id')} of {image}", note)
    return image, canvas.label()


def _paint(canvas: Canvas, region: Mapping, known: Known, image: str, where: str, note: Note) -> None:
    """Add a region to the label of its image, if it is one: choices and texts are none."""
    value, (height, width) = region.get("value") or {}, known.sizes[image]
    own_height, own_width = region.get("original_height"), region.get("original_width")
    if own_height is own_width is None or region.get("type") in NO_MASKS:
        return
    if own_height is None or own_width is None:
        note(f"{where}: needs both original_width and original_height")
        return
    if region.get("image_rotation"):
        note(f"{where}: the image is turned by {region['image_rotation']}°; turn it back")
        return
    if not known.check_size(image, (own_height, own_width), where, note):
        return
    try:
        if "rle" in value:
            mask = decode_brush(value["rle"], height, width)
        elif "points" in value:
            mask = fill([[part * side / 100 for x, y in value["points"] for part, side in ((x, width), (y, height))]],
                        height, width)  # fmt: skip
        else:
            raise ValueError(f"is of type {region.get('type')}; only brushes and polygons are masks")
    except (ValueError, TypeError) as error:
        note(f"{where}: {error}")
        return
    names = [name for key, own in value.items() if key.endswith("labels") and isinstance(own, list) for name in own]
    if len(names) != 1:
        note(f"{where}: has {len(names)} labels; a region needs one")
    elif (index := known.find_class(str(names[0]), where, note)) is not None:
        canvas.paint(mask, index)
