"""Whether the masks of images show the classes that the images' tags name: masks may be numbered otherwise."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from wsgcn.data.dataset import LISTS, Dataset
from wsgcn.files import IGNORE
from wsgcn.text import format_count

MAX_STRANGE_SHARE = 0.5
"""From this share of the masks on, masks without any class of their image's tags are refused: no slip explains that."""

MIN_STRANGE_MASKS = 2
"""Fewer masks than this are only reported."""

MAX_CLASSES_SHOWN = 5
"""Disagreements that are named, the most frequent first."""


@dataclass(frozen=True)
class MaskedImage:
    """An image's file, the names of the classes of its tags, those that its mask shows, the mask's values 0..255.

    negative: whether its tags say that it shows none of the classes.
    """

    file: str
    tags: frozenset[str]
    shown: frozenset[str]
    values: frozenset[int]
    negative: bool = False

    @property
    def black_and_white(self) -> bool:
        """Whether the mask contains 255 and no class, as other tools write masks of one class."""
        return IGNORE in self.values and self.values <= {0, IGNORE}


def masked_images(data: Dataset, values: Mapping[str, Sequence[int]]) -> list[MaskedImage]:
    """The images that have a mask. values: the values that each mask contains, by the image's path."""
    return [
        MaskedImage(
            image.path,
            frozenset(data.classes[index - 1] for index in image.classes),
            frozenset(data.classes[data.mask_values[v] - 1] for v in own if 0 < data.mask_values[v] < IGNORE),
            frozenset(own),
            image.negative,
        )
        for image in data.images.values()
        if image.mask and (own := values.get(image.path)) is not None
    ]


def mask_problems(images: Sequence[MaskedImage]) -> list[str]:
    """A sentence where the masks as a whole cannot mean what the tags say."""
    white = [image for image in images if image.black_and_white]
    if white and all(image.values <= {0, IGNORE} for image in images):
        with_white = "all" if len(white) == len(images) else f"{len(white)} of"
        return [
            f"{with_white} {len(images)} masks contain only 0 and 255, and 255 is ignored; write classes as 1, 2, …"
            + ("" if len(white) == len(images) else "; the others contain only 0")
        ]
    tagged = [image for image in images if image.tags]
    strange = [image for image in tagged if not image.tags & image.shown]
    if len(strange) < max(MIN_STRANGE_MASKS, MAX_STRANGE_SHARE * len(tagged)):
        return []
    pairs = Counter((tag, name) for image in strange for tag in image.tags for name in image.shown or ("no class",))
    examples = [
        f"{name} for {tag} in {format_count(count, 'image')}"
        for (tag, name), count in pairs.most_common(MAX_CLASSES_SHOWN)
    ]
    return [
        f"{len(strange)} of {len(tagged)} masks show none of the classes that their image's tags name "
        f"({', '.join(examples)}), the first that of {strange[0].file}; are the masks numbered otherwise?"
    ]


def mask_remarks(data: Dataset, images: Sequence[MaskedImage]) -> list[str]:
    """Which images of a list have masks, where only some do, and in how many the masks contradict the tags, and how.

    The latter not where `mask_problems` has said it.
    """
    counts = {
        name: (sum(i.mask is not None for i in getattr(data, name).values()), len(getattr(data, name)))
        for name in LISTS
    }
    some = [
        f"dataset.{name}: {found or 'none'} of {count} images have a mask"
        + ("; only these are evaluated" if found else "")
        for name, (found, count) in counts.items()
        if found < count and name != "train" and any(image.mask for image in data.images.values())
    ]
    tagged = [image for image in images if image.tags or image.negative]
    lacking = Counter(name for image in tagged for name in image.tags - image.shown)
    further = Counter(name for image in tagged for name in image.shown - image.tags)
    if not lacking and not further or mask_problems(images):
        return some
    wrong = [image for image in tagged if image.tags != image.shown]
    ways = [(count, f"no {name} in the mask, but in the tags: {count}") for name, count in lacking.items()]
    ways += [(count, f"{name} in the mask, but not in the tags: {count}") for name, count in further.items()]
    shown = [text for _, text in sorted(ways, key=lambda way: -way[0])[:MAX_CLASSES_SHOWN]]
    return [
        *some,
        f"masks and tags disagree in {len(wrong)} of {format_count(len(tagged), 'image')}, the first {wrong[0].file} "
        f"({'; '.join(shown)})",
    ]
