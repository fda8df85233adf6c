"""The page of the review queue, `review.html`: it opens without a server, with its pictures in a folder beside it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import jinja2
import numpy as np
from PIL import Image

from wsgcn.files import atomic_write, voc_palette
from wsgcn.reporting.pictures import HEAT_COLOURS, heat_map, overlay, panel_strip
from wsgcn.text import format_count

PICTURE_HEIGHT_PX = 150
MAX_DOUBT = 0.5
"""What is drawn in the brightest colour: between two classes the winner is never less probable."""
MAX_ROWS_PRINTED = 5


@dataclass(frozen=True)
class ReviewSummary:
    """What the page and the printed text say of a queue as a whole.

    title: of what; score: the one that orders, in words; untagged: how many images without a class are left out;
    skipped: those that some stage skipped; truth: rows of `review_truth.auroc_table`, none without masks; places:
    where what is, by its name; corrected: how many images are left out since they have a correction; estimate: a
    sentence on the labels that full masks replaced, empty without enough of them.
    """

    title: str
    score: str
    untagged: int
    skipped: Sequence[str]
    truth: Sequence[Mapping]
    places: Mapping[str, str]
    corrected: int = 0
    estimate: str = ""

    @property
    def left_out(self) -> str:
        """A sentence on the images that are not in the queue; empty where all are."""
        parts = [f"{format_count(self.untagged, 'image')} without a class"] if self.untagged else []
        parts += [f"{format_count(self.corrected, 'image')} with a correction"] if self.corrected else []
        parts += [f"{format_count(len(self.skipped), 'image')} that the run skipped"] if self.skipped else []
        listed = " and ".join(filter(None, (", ".join(parts[:-1]), *parts[-1:])))
        return f"Not in the queue: {listed}." if parts else ""


def review_picture(image: np.ndarray, label: np.ndarray, confidence: np.ndarray) -> Image.Image:
    """The strip of one image: itself, uint8 [H, W, 3], its label over it, and where that is doubtful.

    label, confidence: uint8 [H, W]. Doubt is 1 - confidence over `MAX_DOUBT`.
    """
    doubt = (1 - confidence / 255) / MAX_DOUBT
    panels = [("image", image), ("label", overlay(image, label, voc_palette())), ("doubt", heat_map(image, doubt))]
    return panel_strip(panels, PICTURE_HEIGHT_PX)


def save_thumbnail(path: str | Path, picture: Image.Image) -> None:
    """Write a picture as a JPEG, atomically: a fifth of a PNG's size."""
    with atomic_write(path) as temporary:
        picture.save(temporary, format="JPEG", quality=82, subsampling=0, optimize=True)


def write_review_page(
    path: str | Path,
    summary: ReviewSummary,
    rows: Sequence[Mapping],
    pictures: Mapping[str, str],
    classes: Sequence[str],
    scores: Mapping[str, str],
) -> None:
    """Write the page atomically.

    rows: as `review_queue.queue_rows` returns them; pictures: {image: its strip}, files in or below the folder of
    `path`; classes: the foreground names, class k is `classes[k - 1]`; scores: what each known score is.
    """
    folder, palette = Path(path).parent, voc_palette()
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, loader=jinja2.FileSystemLoader(Path(__file__).parent)
    )
    items = []
    for row in rows:
        with Image.open(pictures[row["image"]]) as picture:
            width, height = picture.size
        source = quote(Path(pictures[row["image"]]).relative_to(folder).as_posix())
        items.append({**row, "source": source, "width": width, "height": height})
    page = environment.get_template("review.html").render(
        summary=summary,
        items=items,
        scores=scores,
        truth={row["score"]: row for row in summary.truth},
        heat=", ".join("#" + bytes(colour).hex() for colour in HEAT_COLOURS),
        colours={name: "#" + bytes(palette[label]).hex() for label, name in enumerate(classes, start=1)},
    )
    with atomic_write(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def format_review(summary: ReviewSummary, rows: Sequence[Mapping]) -> str:
    """The text that ends a run: the first rows, and the AUROC of each score where there are masks."""
    lines = [
        f"review of {summary.title}: {format_count(len(rows), 'label')}, the most doubtful first by {summary.score}"
    ]
    lines += [f"{row['rank']:6}  {row['image']}: {row['why']}" for row in rows[:MAX_ROWS_PRINTED]]
    lines += [line for line in (summary.left_out, summary.estimate) if line]
    if summary.truth:
        first = summary.truth[0]
        lines += ["", f"AUROC of each score for the worst {first['worst']} of {first['images']} labels by mIoU (95 %):"]
        lines += [
            f"  {row['score']:<18}{row['auroc']:.3f}  ({row['low']:.3f} to {row['high']:.3f})" for row in summary.truth
        ]
    width = max(map(len, summary.places)) + 2
    return "\n".join([*lines, "", *(f"{name:<{width}}{place}" for name, place in summary.places.items()), ""])
