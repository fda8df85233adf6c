"""Labels through each format and back, to the pixel; by the formats' own readers where these are installed.

Run alone: `.venv/bin/python -m pytest tests/exporting/test_formats.py`.
"""

import io
import json
import zipfile
from collections import defaultdict
from itertools import groupby

import numpy as np
import pytest
import yaml
from labels import CLASSES, SETTINGS, export, hard_labels, known_of, read_back, write_images
from PIL import Image
from pycocotools.coco import COCO
from scipy.ndimage import binary_dilation, binary_erosion

from wsgcn.data.coco_masks import run_lengths
from wsgcn.exporting.brush import decode_brush
from wsgcn.exporting.objects import count_runs, objects_of
from wsgcn.files import voc_palette

LABELS = hard_labels()


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return write_images(tmp_path_factory.mktemp("labels"), LABELS)


def same_labels(found, labels=LABELS):
    assert found.keys() == labels.keys()
    for name, label in labels.items():
        np.testing.assert_array_equal(found[name], label, name)


@pytest.mark.parametrize("objects", ["component", "class"])
@pytest.mark.parametrize(
    ("name", "changed"), [("coco", {}), ("coco", {"coco": "polygons"}), ("cvat", {}), ("yolo", {})], ids=str
)
def test_a_round_trip_is_exact(name, changed, objects, images, tmp_path):
    outputs = export(tmp_path, name, images, objects=objects, **changed)
    found, problems = read_back(name, outputs[0], known_of(LABELS))
    assert not problems
    same_labels(found)


def submitted(path):
    """Label Studio's export of tasks whose predictions were accepted as they are."""
    tasks = json.loads(path.read_text())
    for number, task in enumerate(tasks, start=1):
        task |= {"id": number, "annotations": [{"result": task.pop("predictions")[0]["result"]}]}
    path.write_text(json.dumps(tasks))
    return path


@pytest.mark.parametrize("objects", ["component", "class"])
def test_a_round_trip_through_label_studio_is_exact(objects, images, tmp_path):
    path = submitted(export(tmp_path, "label-studio", images, objects=objects)[0])
    found, problems = read_back("label-studio", path, known_of(LABELS))
    assert not problems
    same_labels(found)


@pytest.mark.parametrize("name", ["coco", "yolo"])
def test_polygons_with_fewer_corners_stay_near_their_label(name, images, tmp_path):
    """Pixels that are open since two classes claim them, or wrong, are at the edges of the label or the image."""
    blobs = {key: label for key, label in LABELS.items() if key.startswith("blobs")}
    chosen = [image for image in images if image.id in blobs]
    outputs = export(tmp_path, name, chosen, coco="polygons", polygon_tolerance=1)
    found, problems = read_back(name, outputs[0], known_of(blobs))
    assert not problems
    for key, label in blobs.items():
        wrong = found[key] != label
        assert wrong.mean() < 0.08
        framed = np.pad(label, 2, constant_values=255)
        assert all(len(np.unique(framed[y : y + 5, x : x + 5])) > 1 for y, x in np.argwhere(wrong))


def test_an_object_is_a_component_or_a_class(images):
    ring = next(image for image in images if image.id == "ring")
    assert [own.value for own in objects_of(ring, "class")] == [1, 2]
    assert [own.value for own in objects_of(ring, "component")] == [1, 1, 2]
    crack = next(image for image in images if image.id == "crack")
    [own] = objects_of(crack, "component")
    assert own.mask.sum() == 30
    confidence = np.array(Image.open(crack.confidence))
    assert own.score == pytest.approx(np.mean([confidence[k, k] for k in range(30)]) / 255, abs=5e-5)


def test_objects_hold_no_more_than_their_own_box(images):
    """Against a walk over neighbours, and runs against itertools."""
    for image in images:
        label, found = LABELS[image.id], np.zeros(LABELS[image.id].shape, int)
        for number, own in enumerate(objects_of(image, "component"), start=1):
            assert own.mask.shape == label[own.box].shape
            assert own.mask.any(0)[[0, -1]].all() and own.mask.any(1)[[0, -1]].all()
            whole = np.zeros(label.shape, bool)
            whole[own.box] = own.mask
            assert not found[whole].any() and (label[whole] == own.value).all()
            found[whole] = number
            todo, seen = [tuple(np.argwhere(whole)[0])], set()
            while todo:
                y, x = todo.pop()
                if (y, x) not in seen and whole[y, x]:
                    seen.add((y, x))
                    todo += [(v, u) for v in (y - 1, y, y + 1) for u in (x - 1, x, x + 1)
                             if 0 <= v < label.shape[0] and 0 <= u < label.shape[1]]  # fmt: skip
            assert len(seen) == whole.sum()
            for box, mask, pixels in ((own.box, own.mask, whole), (own.box[::-1], own.mask.T, whole.T)):
                groups = [(inside, len(list(group))) for inside, group in groupby(pixels.ravel().tolist())]
                expected = [length for _, length in groups]
                assert count_runs(box, mask, pixels.shape) == [0] * groups[0][0] + expected
        assert ((found > 0) == (label > 0)).all()
        for y, x in np.ndindex(label.shape):  # neighbours of a class are of one object
            near = (slice(max(y - 1, 0), y + 2), slice(max(x - 1, 0), x + 2))
            assert (found[near][label[near] == label[y, x]] == found[y, x]).all()


def test_open_pixels_are_background(tmp_path):
    label = np.array([[255, 1], [0, 255]], np.uint8)
    [image] = write_images(tmp_path, {"a": label}, confident=False)
    assert image.read_label().tolist() == [[0, 1], [0, 0]]
    with zipfile.ZipFile(export(tmp_path, "cvat", [image])[0]) as archive:
        pixels = np.array(Image.open(io.BytesIO(archive.read("SegmentationClass/a.png"))))
    assert pixels.tolist() == [[0, 1], [0, 0]]


# COCO


@pytest.mark.parametrize("masks", ["rle", "polygons"])
def test_pycocotools_reads_the_labels(masks, images, tmp_path):
    coco = COCO(export(tmp_path, "coco", images, coco=masks)[0])
    assert {own["id"]: own["name"] for own in coco.cats.values()} == dict(enumerate(CLASSES, start=1))
    found = {}
    for number, entry in coco.imgs.items():
        label = np.zeros((entry["height"], entry["width"]), np.uint8)
        for annotation in coco.imgToAnns[number]:
            mask = coco.annToMask(annotation).astype(bool)
            rows, columns = np.nonzero(mask)
            box = [columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1]
            assert annotation["bbox"] == box and annotation["area"] == mask.sum() and annotation["iscrowd"] == 0
            assert 0 <= annotation["score"] <= 1
            assert not label[mask].any()
            label[mask] = annotation["category_id"]
        found[entry["file_name"].removesuffix(".jpg")] = label
    same_labels(found)


def test_without_confidences_there_is_no_score(tmp_path):
    images = write_images(tmp_path, {"a": np.ones((3, 3), np.uint8)}, confident=False)
    [annotation] = json.loads(export(tmp_path, "coco", images)[0].read_text())["annotations"]
    assert "score" not in annotation
    [task] = json.loads(export(tmp_path, "label-studio", images)[0].read_text())
    assert "score" not in task["predictions"][0] and "score" not in task["predictions"][0]["result"][0]


def test_run_lengths_of_a_compressed_code():
    from pycocotools import mask as coco_mask

    for label in LABELS.values():
        pixels = (label == 1).ravel(order="F")
        counts = run_lengths(coco_mask.encode(np.asfortranarray(label == 1, np.uint8))["counts"].decode())
        assert np.repeat(np.arange(len(counts)) % 2 == 1, counts).tolist() == pixels.tolist()


# CVAT


def colours_of(archive, name):
    return np.array(Image.open(io.BytesIO(archive.read(name))).convert("RGB"))


def test_cvat_s_archive_as_its_page_describes_it(images, tmp_path):
    archive_path, labels_path = export(tmp_path, "cvat", images)
    with zipfile.ZipFile(archive_path) as archive:
        lines = [line for line in archive.read("labelmap.txt").decode().splitlines() if not line.startswith("#")]
        assert all(len(line.split(":")) == 4 for line in lines)
        colours = {tuple(map(int, line.split(":")[1].split(","))): line.split(":")[0] for line in lines}
        names = archive.read("ImageSets/Segmentation/default.txt").decode().splitlines()
        found = {}
        for name in names:
            pixels = colours_of(archive, f"SegmentationClass/{name}.png")
            values = [["background", *CLASSES].index(colours[tuple(pixel)]) for pixel in pixels.reshape(-1, 3)]
            found[name] = np.array(values).reshape(pixels.shape[:2])
            objects = colours_of(archive, f"SegmentationObject/{name}.png")
            known = {tuple(colour) for colour in voc_palette()[:255]}
            assert {tuple(pixel) for pixel in objects.reshape(-1, 3)} <= known
            assert ((objects == 0).all(2) == (found[name] == 0)).all()
    same_labels(found)
    tasks = json.loads(labels_path.read_text())
    assert [task["name"] for task in tasks] == list(CLASSES)
    assert all(colours[tuple(bytes.fromhex(task["color"][1:]))] == task["name"] for task in tasks)


def test_more_objects_than_colours_share_some(tmp_path):
    label = np.zeros((60, 60), np.uint8)
    label[::2, ::2] = 1
    label[::2, 1::4] = 0
    label[0:40:2, 0:40:4] = 2
    images = write_images(tmp_path, {"a": label})
    with zipfile.ZipFile(export(tmp_path, "cvat", images)[0]) as archive:
        objects = np.array(Image.open(io.BytesIO(archive.read("SegmentationObject/a.png"))))
    assert objects.max() <= 254 and ((objects > 0) == (label > 0)).all()
    for number in np.unique(objects[objects > 0]):
        assert len(np.unique(label[objects == number])) == 1


def test_datumaro_reads_cvat_s_archive(images, tmp_path):
    datumaro = pytest.importorskip("datumaro")
    with zipfile.ZipFile(export(tmp_path, "cvat", images)[0]) as archive:
        archive.extractall(tmp_path / "cvat")
    dataset = datumaro.Dataset.import_from(str(tmp_path / "cvat"), "voc_segmentation")
    names = [label.name for label in dataset.categories()[datumaro.AnnotationType.label]]
    found = {}
    for item in dataset:
        found[item.id] = np.zeros_like(LABELS[item.id])
        for annotation in item.annotations:
            found[item.id][annotation.image.astype(bool)] = ["background", *CLASSES].index(names[annotation.label])
    same_labels(found)


# Label Studio


def test_label_studio_s_tasks(images, tmp_path):
    tasks_path, interface = export(tmp_path, "label-studio", images, image_prefix="s3://bucket/")
    for image, task in zip(images, json.loads(tasks_path.read_text()), strict=True):
        assert task["data"]["image"].startswith("s3://bucket/photos/sub/") and " " not in task["data"]["image"]
        [prediction] = task["predictions"]
        confidence = np.array(Image.open(image.confidence)) / 255
        assert prediction["score"] == pytest.approx(confidence.mean(), abs=5e-5)
        label = np.zeros_like(LABELS[image.id])
        for region in prediction["result"]:
            size = (region["original_height"], region["original_width"])
            mask = decode_brush(region["value"]["rle"], *size)
            label[mask] = 1 + CLASSES.index(*region["value"]["brushlabels"])
            assert region["score"] == pytest.approx(confidence[mask].mean(), abs=5e-5)
            assert (region["from_name"], region["to_name"], region["type"]) == ("tag", "image", "brushlabels")
        assert (label == LABELS[image.id]).all()
    from xml.etree import ElementTree

    root = ElementTree.fromstring(interface.read_text())
    assert [own.get("value") for own in root.iter("Label")] == list(CLASSES)
    [control], [picture] = root.iter("BrushLabels"), root.iter("Image")
    assert (control.get("name"), control.get("toName"), picture.get("value")) == ("tag", "image", "$image")


# YOLO


def test_yolo_s_files_as_ultralytics_describes_them(images, tmp_path):
    """A line is a class and at least three corners in 0..1; a pixel is of a polygon if its centre lies in it."""
    from matplotlib.path import Path as Outline

    with zipfile.ZipFile(export(tmp_path, "yolo", images)[0]) as archive:
        content = yaml.safe_load(archive.read("data.yaml"))
        assert content.keys() == {"train", "val", "names"}  # a `path` that is relative would be of another folder
        assert {content["train"], content["val"]} <= set(archive.namelist())
        names = content["names"]
        listed = archive.read("train.txt").decode().splitlines()
        assert [names[k] for k in range(len(names))] == list(CLASSES)
        found = {}
        for path in listed:
            name = path.removeprefix("./images/train/").removesuffix(".jpg")
            height, width = LABELS[name].shape
            label = np.zeros((height, width), np.uint8)
            centres = np.stack(np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5), 2).reshape(-1, 2)
            for line in archive.read(f"labels/train/{name}.txt").decode().splitlines():
                index, *shares = line.split()
                corners = np.array(shares, float).reshape(-1, 2)
                assert len(corners) >= 3 and (0 <= corners).all() and (corners <= 1).all()
                corners = corners * (width, height)
                inside = Outline(np.concatenate([corners, corners[:1]]), closed=True).contains_points(centres)
                label[inside.reshape(height, width)] = 1 + int(index)
            found[name] = label
    same_labels(found)


def test_ultralytics_reads_the_files(images, tmp_path):
    """It cuts off decimals and also fills what an outline touches: a mask may differ by one pixel all around."""
    utils = pytest.importorskip("ultralytics.data.utils")
    with zipfile.ZipFile(export(tmp_path, "yolo", images)[0]) as archive:
        archive.extractall(tmp_path)
    for image in images:
        label, path = LABELS[image.id], tmp_path / f"images/train/{image.name}"
        path.parent.mkdir(exist_ok=True, parents=True)
        if min(label.shape) < 10:
            continue  # it refuses images below 10 pixels
        Image.new("RGB", label.shape[::-1]).save(path)
        lines = (str(path), str(tmp_path / f"labels/train/{image.id}.txt"), "", False, len(CLASSES), 0, 0, False)
        _, classes, shape, segments, _, missing, _, _, corrupt, message = utils.verify_image_label(lines)
        assert not missing and not corrupt, message
        assert shape == label.shape
        grown = np.zeros((len(CLASSES) + 1, *label.shape), bool)
        for row, segment in zip(classes, segments, strict=True):
            grown[1 + int(row[0])] |= utils.polygon2mask(shape, [segment * shape[::-1]], 1).astype(bool)
        for value in range(1, 4):
            mask = label == value
            near, inner = (function(mask, np.ones((3, 3))) for function in (binary_dilation, binary_erosion))
            assert (grown[value] >= inner).all() and (grown[value] <= near).all(), image.id


def test_every_setting_of_a_format_matters(images, tmp_path):
    """Of those that its row names; `objects` and the others change its files."""
    from wsgcn.workflow.rows import keys_of
    from wsgcn.workflow.stages import EXPORTERS

    images = images[:2]
    other = {"objects": "class", "coco": "polygons", "polygon_tolerance": 2, "image_prefix": "s3://"}
    for name, row in EXPORTERS.items():
        read = {key.removeprefix("exchange.") for key in keys_of(row.params)}
        for key in SETTINGS:
            base = {"coco": "polygons"} if key == "polygon_tolerance" else {}
            before, after = tmp_path / f"{name}-{key}", tmp_path / f"{name}-{key}-other"
            contents = [
                [content(path) for path in export(folder, name, images, **changed)]
                for folder, changed in ((before, base), (after, base | {key: other[key]}))
            ]
            assert (contents[0] != contents[1]) == (key in read), (name, key)


def content(path):
    if path.suffix != ".zip":
        return path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        return defaultdict(bytes, {name: archive.read(name) for name in archive.namelist()})
