"""Tables, images and names that are read as meant, without a word.

Run alone: `.venv/bin/python -m pytest tests/workflow/test_good_inputs.py`.
"""

import numpy as np
import pytest
from PIL import Image
from small_folder import ROWS, combine, remarks, set_key, start, write, write_folder, write_table

from wsgcn.files import read_image

GOOD_NAMES = ["two words", "猫", "émile", "100%", "a'b", "a&b;c", "$(c)", "-c", "c.d", "#c", "a=b,c"]
SILENT = {  # read as meant
    "separated by semicolons": write("labels.csv", 'image;classes\na.png;cat\nb.png;"dog;cat"\n'),
    "separated by semicolons, classes as well": write("labels.csv", "image;classes\na.png;cat\nb.png;dog;cat\n"),
    "separated by tabs": write("labels.csv", "image\tclasses\na.png\tcat\nb.png\tdog;cat\n"),
    "Excel's hint": write("labels.csv", "sep=;\nimage;classes\na.png;cat\nb.png;dog;cat\n;\n;\n"),
    "UTF-16": write("labels.csv", f"image,classes\n{ROWS}".encode("utf-16")),
    "UTF-16, big end first": write("labels.csv", f"\ufeffimage,classes\n{ROWS}".encode("utf-16-be")),
    "UTF-32": write("labels.csv", f"image,classes\n{ROWS}".encode("utf-32")),
    "UTF-8 with a mark": write("labels.csv", f"image,classes\n{ROWS}".encode("utf-8-sig")),
    "old line ends": write("labels.csv", f"image,classes\n{ROWS}".replace("\n", "\r")),
    "another case of the header": write("labels.csv", f" Image ,\u00a0CLASSES\n{ROWS}"),
    "lists": write_table("a.png,['cat']\nb.png,\"['dog', 'cat']\"\n"),
    "groups": write("labels.csv", "image,classes,Group\na.png,cat,1\nb.png,dog;cat,1\n"),
    "blanks after commas": write_table('a.png, cat\nb.png, "dog;cat"\n'),
    "paths of Windows": write_table(".\\a.png,cat\n.\\b.png,dog;cat\n"),
    "another separator": combine(set_key("dataset.separator", "|"), write_table("a.png,cat\nb.png,dog|cat\n")),
}
GOOD_IMAGES = {
    "grey": lambda image: image.convert("L"),
    "16 bits": lambda image: Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) << 8),
    "16 bits, as PGM": lambda image: Image.fromarray(np.asarray(image.convert("L")).astype(np.int32) << 8),
    "palette": lambda image: image.convert("P"),
    "black and white": lambda image: image.convert("1"),
    "transparent": lambda image: image.convert("RGBA"),
    "CMYK": lambda image: image.convert("CMYK"),
    "one pixel": lambda image: image.resize((1, 1)),
    "6000×4000 pixels": lambda image: image.resize((6000, 4000)),
}


@pytest.fixture
def root(tmp_path):
    return write_folder(tmp_path)


def test_names_may_hold_dots_without_an_extension(root):
    for name in "ab":
        (root / f"{name}.png").rename(root / f"v1.{name == 'b':d}.png")
    (root / "labels.csv").write_text("image,classes\nv1.0,cat\nv1.1,dog\n")
    data, said = remarks(root, lambda config, root: None)
    assert list(data.train) == ["v1.0", "v1.1"] and data.train["v1.1"].path.endswith("v1.1.png") and len(said) == 1


@pytest.mark.parametrize("name", SILENT)
def test_tables_of_many_makes_are_read_as_meant(name, root):
    data, said = remarks(root, SILENT[name])
    assert not said and data.classes == ("cat", "dog")
    assert {image.id: image.classes for image in data.train.values()} == {"a": (1,), "b": (1, 2)}


@pytest.mark.parametrize("kind", GOOD_IMAGES)
def test_images_of_all_kinds_are_accepted(kind, root):
    image = GOOD_IMAGES[kind](Image.open(root / "a.png").convert("RGB"))
    file = {"CMYK": "c.tif", "16 bits, as PGM": "c.pgm"}.get(kind, "c.png")
    image.save(root / file)
    (root / "labels.csv").write_text(f"image,classes\n{ROWS}{file},cat\n")
    assert start(root, lambda config, root: None) is None
    pixels = read_image(root / file)
    if kind.startswith("16 bits"):  # neither clipped nor dark: 8 bits in the upper half
        np.testing.assert_allclose(pixels[..., 0], np.asarray(Image.open(root / "a.png").convert("L")), atol=1)
    assert pixels.shape == (*image.size[::-1], 3) and pixels.dtype == np.uint8


@pytest.mark.parametrize("name", GOOD_NAMES)
def test_names_of_all_kinds_are_accepted(name, root):
    Image.new("RGB", (5, 4)).save(root / f"{name}.png")
    (root / "labels.csv").write_text(f'image,classes\n{ROWS}"{name}.png",cat\n')
    assert start(root, lambda config, root: None) is None
