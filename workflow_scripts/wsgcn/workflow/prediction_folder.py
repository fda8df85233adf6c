"""A folder of any images that the trained network segments: which images it holds, where their labels go.

Nothing is known of these images but their files. All problems are sentences that begin with `predict:`, the setting
that names the folder.
"""

import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from PIL import Image

from wsgcn.data.dataset import Dataset
from wsgcn.data.dataset import Image as Member
from wsgcn.data.names import id_problem
from wsgcn.data.sizes import image_facts, with_copies
from wsgcn.files import load_cache, write_cache
from wsgcn.text import format_count, format_examples
from wsgcn.workflow.check import check_images
from wsgcn.workflow.plan import Plan


@dataclass(frozen=True)
class PredictionFolder:
    """The folder at `path`, as the setting `predict` gives it, of a data set whose results are in `results`."""

    path: str
    results: str

    @cached_property
    def name(self) -> str:
        """Of the folder of its labels: the last part of its path."""
        return Path(os.path.abspath(self.path)).name

    @property
    def labels(self) -> str:
        """The folder of its labels."""
        return f"{self.results}/predicted/{self.name}"

    @property
    def own(self) -> str:
        """The folder of copies and caches."""
        return f"{self.results}/data/predicted/{self.name}"

    @cached_property
    def files(self) -> list[str]:
        """The names of its visible files, sorted; subfolders are not looked into. Raises OSError where it has none."""
        with os.scandir(self.path) as entries:
            return sorted(entry.name for entry in entries if entry.is_file() and not entry.name.startswith("."))

    @cached_property
    def images(self) -> dict[str, str]:
        """The paths of its images by id, the file's name without extension; of the same id, the first."""
        found: dict[str, str] = {}
        for name in filter(_is_image, self.files):
            found.setdefault(Path(name).stem, os.path.normpath(f"{self.path}/{name}"))
        return found

    def problems(self) -> list[str]:
        """What is wrong with the folder and with the names in it; images are not opened."""
        try:
            images = list(filter(_is_image, self.files))
        except FileNotFoundError:
            return [f"predict: {self.path} does not exist"]
        except NotADirectoryError:
            return [f"predict: {self.path} is not a folder"]
        except OSError as error:
            return [f"predict: {self.path} cannot be read: {error.strerror}"]
        if wrong := id_problem(self.name):
            return [f"predict: folder {self.path} {wrong}"]
        if not images:
            others = f" among its {format_count(len(self.files), 'file')}" if self.files else ""
            return [f"predict: {self.path} holds no image{others}; subfolders are not read"]
        return [*self._taken(), *(f"predict: {problem}" for problem in self._name_problems(images))]

    def _name_problems(self, images: list[str]) -> Iterator[str]:
        for name in images:
            first = Path(self.images[Path(name).stem]).name
            if first != name:
                yield f"images {first} and {name} have the same name without extension, which must be unique"
            elif wrong := id_problem(Path(name).stem):
                yield f"image {name} {wrong}"

    def _taken(self) -> list[str]:
        """A sentence where its labels would be mixed with those of another folder of the same name."""
        other = load_cache(f"{self.own}/folder.json").get("path", "")
        if other in ("", os.path.abspath(self.path)) or not (Path(other).is_dir() and Path(self.labels).is_dir()):
            return []
        return [f"predict: {self.labels} holds the labels of {other}; rename either folder, or delete {self.labels}"]

    def remember(self) -> None:
        """Note whose labels these are, for later runs."""
        write_cache(f"{self.own}/folder.json", {"path": os.path.abspath(self.path)})

    def remarks(self) -> list[str]:
        """What of it is left out."""
        others = [name for name in self.files if not _is_image(name)]
        return [f"predict: no image by its name, so left out: {format_examples(others, 'file')}"] if others else []

    def open(self, threads: int, skips: bool) -> tuple[list[str], list[str]]:
        """Open every image that has changed since the last check: problems, and images that are skipped.

        skips: whether the workflow goes on without images that are wrong.
        """
        files = [(path, None) for path in self.images.values()]
        found = check_images(files, (), f"{self.own}/checked.json", threads)
        broken = [own.image for own in found.values() if own.image]
        if not skips:
            return broken, []
        nothing = [f"predict: none of the images in {self.path} can be read"] if len(broken) == len(files) else []
        return nothing, broken

    def as_dataset(self, data: Dataset) -> Dataset:
        """Its images as those to evaluate of a data set with the classes of `data`."""
        images = {name: Member(name, path, (), None) for name, path in self.images.items()}
        return replace(data, train={}, label={}, evaluate=images, remarks=())


def plan_folder(plan: Plan, folder: PredictionFolder, longest: int) -> tuple[Plan, Mapping[str, str], Collection[str]]:
    """The plan of the images of a folder, the originals of those that a copy stands for, by id, and which hold 16 bits.

    plan: of the data set; longest: side of an image above which it is shrunk [pixels].
    """
    data = folder.as_dataset(plan.data)
    facts = image_facts(list(folder.images.values()), f"{folder.own}/sizes.json")
    worked_on, large, deep = with_copies(data, facts, longest, f"{folder.own}/images")
    copied = {i: path for i, path in folder.images.items() if worked_on.evaluate[i].path != path}
    return replace(plan, data=worked_on, large=large), copied, set(deep)


def _is_image(name: str) -> bool:
    """Whether Pillow knows the extension of a file's name as that of a format that it reads."""
    return Image.registered_extensions().get(Path(name).suffix.lower()) in Image.OPEN
