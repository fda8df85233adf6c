"""Label PNGs as they are: values are classes, 255 says nothing. What an image editor gives back."""

from collections.abc import Iterator

import numpy as np

from wsgcn.data.names import Note
from wsgcn.exporting.contract import Known, Returned
from wsgcn.files import IGNORE, Skipped, read_label


def read_masks(returned: Returned, known: Known, note: Note) -> Iterator[tuple[str, np.ndarray]] | None:
    """The labels of the PNGs, each named after its image; None where there are other files, or none."""
    names = list(returned.files)
    return _labels(returned, known, note) if names and all(name.lower().endswith(".png") for name in names) else None


def _labels(returned: Returned, known: Known, note: Note) -> Iterator[tuple[str, np.ndarray]]:
    for name, path in returned.files.items():
        where = returned.where(name)
        image = known.find_image(name, where, note)
        try:
            label = read_label(path)
        except (ValueError, Skipped) as error:
            note(f"{where}: {str(error).replace(str(path), name)}")
            continue
        if unknown := sorted(set(np.unique(label).tolist()) - {*range(len(known.classes) + 1), IGNORE}):
            note(f"{where}: contains values of no class: {', '.join(map(str, unknown))}")
        elif image is not None and known.check_size(image, label.shape, where, note):
            yield image, label
