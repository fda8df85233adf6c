"""A folder of two tagged images, what may be changed in it and its config, and what the start says of it."""

import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import yaml
from PIL import Image

from wsgcn.data.dataset import Dataset
from wsgcn.depth import ORIENTATION
from wsgcn.files import write_label
from wsgcn.workflow.check import format_problems
from wsgcn.workflow.corrections import open_corrections
from wsgcn.workflow.images import open_images
from wsgcn.workflow.inputs import read_inputs
from wsgcn.workflow.prediction_folder import PredictionFolder

ROOT = Path(__file__).parents[2]
SCHEMA = ROOT / "rules/schemas/config.yaml"
LISTS = {"train": "all", "label": "all", "evaluate": "all"}
CAT = np.ones((12, 16), np.uint8)
ROWS = "a.png,cat\nb.png,dog;cat\n"


def write_folder(folder: Path) -> Path:
    """The images a and b, their table, and an empty folder of masks."""
    (folder / "masks").mkdir()
    for name in "ab":
        pixels = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{name}.png")
    (folder / "labels.csv").write_text("image,classes\n" + ROWS)
    return folder


def set_key(path: str, value: object) -> Callable:
    """Change the config: set a dotted key to a value."""

    def change(config: dict, root: Path) -> None:
        *sections, key = path.split(".")
        for name in sections:
            config = config[name]
        config[key] = value

    return change


def write(name: str, content: str | bytes) -> Callable:
    """Change the data: write a file."""
    raw = content.encode() if isinstance(content, str) else content
    return lambda config, root: (root / name).write_bytes(raw)


def write_table(rows: str) -> Callable:
    return write("labels.csv", f"image,classes\n{rows}")


def write_mask(name: str, values: np.ndarray) -> Callable:
    return lambda config, root: write_label(root / "masks" / name, values)


def write_correction(name: str, values: np.ndarray) -> Callable:
    return lambda config, root: write_label(root / "corrections" / name, values)


def write_image(name: str, pixels: np.ndarray, form: str) -> Callable:
    return lambda config, root: Image.fromarray(pixels).save(root / name, format=form)


def copy_image(name: str) -> Callable:
    """Change the data: add another image."""
    return lambda config, root: (root / name).write_bytes((root / "a.png").read_bytes())


def remove(name: str) -> Callable:
    return lambda config, root: (root / name).unlink()


def truncate(name: str) -> Callable:
    return lambda config, root: (root / name).write_bytes((root / name).read_bytes()[:200])


def rename(old: str, new: str) -> Callable:
    return lambda config, root: (root / old).rename(root / new)


def evaluate_alone(name: str) -> Callable:
    """Change the lists: all other images are to train on and to label, this one is only evaluated."""

    def change(config: dict, root: Path) -> None:
        (root / "rest.txt").write_text("\n".join(n for n in "ab" if n != name) + "\n")
        config["dataset"] |= {"train": "rest.txt", "label": "rest.txt"}

    return change


def write_frames(name: str) -> Callable:
    frames = [Image.new("RGB", (16, 12), colour) for colour in ("red", "blue")]
    return lambda config, root: frames[0].save(root / name, save_all=True, append_images=frames[1:])


def turn(name: str, orientation: int) -> Callable:
    """Change the data: let EXIF turn an image."""

    def change(config: dict, root: Path) -> None:
        exif = Image.Exif()
        exif[ORIENTATION] = orientation
        Image.open(root / name).save(root / name, exif=exif)

    return change


def write_list(text: str) -> Callable:
    def change(config: dict, root: Path) -> None:
        (root / "some.txt").write_text(text)
        config["dataset"]["label"] = "some.txt"

    return change


def predict(name: str, *files: str) -> Callable:
    """Change the config: segment a folder, and put copies of an image into it."""

    def change(config: dict, root: Path) -> None:
        config["predict"] = str(root / name)
        for file in files:
            (root / name).mkdir(exist_ok=True)
            (root / name / file).write_bytes((root / "a.png").read_bytes())

    return change


def combine(*changes: Callable) -> Callable:
    return lambda config, root: [change(config, root) for change in changes]


def remarks(root: Path, change: Callable) -> tuple[Dataset, list[str]]:
    """The data set, and what the start says of one that is in order."""
    config = configured(root, change)
    inputs = read_inputs(config, SCHEMA, root / "results")
    opened = open_images(inputs.data, root / "results", 1, skips=False)
    problems, corrected = open_corrections(inputs.data, inputs.corrections, root / "results", 1)
    assert not opened.problems + problems
    return inputs.data, [*inputs.data.remarks, *opened.remarks, *corrected]


def configured(root: Path, change: Callable) -> dict:
    config = copy.deepcopy(yaml.safe_load((ROOT / "config.yaml").read_text()))
    config["dataset"] |= {"kind": "folder", "root": str(root)} | LISTS
    change(config, root)
    return config


def start(root: Path, change: Callable) -> str | None:
    """Run the checks before the first job, networks excepted; the message if they fail."""
    config = configured(root, change)
    try:
        inputs = read_inputs(config, SCHEMA, root / "results")
    except ValueError as error:
        return str(error).partition("\n\n")[0]  # what follows is worth knowing, but no problem
    opened = open_images(inputs.data, root / "results", 1, config["on_error"] == "skip")
    problems = opened.problems + open_corrections(inputs.data, inputs.corrections, root / "results", 1)[0]
    if config["predict"]:
        problems += PredictionFolder(config["predict"], str(root / "results")).open(1, config["on_error"] == "skip")[0]
    return format_problems(problems) if problems else None
