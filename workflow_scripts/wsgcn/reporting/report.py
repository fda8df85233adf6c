"""The report of an experiment: one HTML page, `page.html`, that opens without a server and loads nothing."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2
import numpy as np
from PIL import Image

from wsgcn.evaluation.records import skipped_at_stages
from wsgcn.files import atomic_write, voc_palette
from wsgcn.reporting.gallery import GalleryItem
from wsgcn.reporting.pictures import HEAT_COLOURS
from wsgcn.reporting.tables import DASH, TEXT_COLUMNS, format_number, is_known, stage_cells


@dataclass(frozen=True)
class ReportHeader:
    """The page's first lines: its title, where the labels are, the command that opens MLflow's interface, and what else
    there is of the experiment, {what: how to get it and where it is}."""

    title: str
    labels_folder: str
    ui_command: str
    places: Mapping[str, str]


def write_report(
    path: str | Path,
    header: ReportHeader,
    evaluations: Sequence[Mapping],
    gallery: Sequence[GalleryItem],
    classes: Sequence[str],
    settings: Mapping[str, object],
    chosen: Mapping[str, str],
) -> None:
    """Write the page atomically.

    evaluations: see `tables`, each with `skipped`, {id: why}; classes: the foreground names, class k is
    `classes[k - 1]`; settings: {dotted key: value}; chosen: value and why of those that `snakemake choose`
    has chosen, by their dotted keys.
    """
    rows, palette = stage_cells(evaluations), voc_palette()
    scored_names = dict.fromkeys(name for row in evaluations for name in row["iou"])
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, loader=jinja2.FileSystemLoader(Path(__file__).parent)
    )
    environment.filters |= {"number": format_number, "data": _data_url}
    page = environment.get_template("page.html").render(
        header=header,
        settings=settings,
        chosen=chosen,
        skipped=skipped_at_stages(evaluations),
        gallery=gallery,
        classes=list(classes),
        colours={name: _hex(palette[label]) for label, name in enumerate(classes, start=1)},
        heat=", ".join(map(_hex, HEAT_COLOURS)),
        text_columns=TEXT_COLUMNS,
        rows=rows,
        # A column without a single value is left out.
        columns=[name for name in (rows or [{}])[0] if {row[name] for row in rows} != {DASH}],
        scored=any(is_known(row["miou"]) for row in evaluations),
        scored_rows=[row for row in evaluations if any(map(is_known, row["iou"].values()))],
        # The scored name that is no class is the background; it comes first.
        names=[name for name in scored_names if name not in classes] + list(classes),
    )
    with atomic_write(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _hex(colour: np.ndarray) -> str:
    """uint8 [3] -> "#rrggbb"."""
    return "#" + bytes(colour).hex()


def _data_url(picture: Image.Image) -> str:
    """The picture as a URL: a JPEG whose colours keep the full resolution, as contours are thin."""
    stream = io.BytesIO()
    picture.save(stream, format="JPEG", quality=88, subsampling=0, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode()
