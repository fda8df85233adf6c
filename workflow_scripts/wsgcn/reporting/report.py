"""The summary of a run: one HTML page that opens without a server, and a table for the terminal.

A row of the stages' table is a dict {"stage": str, "split": str, "protocol": str, "images": int,
"miou", "coverage", "precision": float in 0..1 or None, "seconds_per_image": float or None,
"iou": {class name: float in 0..1 or None}}. NaN counts as None; both show as an en dash.
"""

import base64
import io
import math
from pathlib import Path

import jinja2
import numpy as np
from PIL import Image

from wsgcn.files import atomic_write
from wsgcn.reporting.figures import HEAT

MISSING = "–"
WORDS = ("stage", "on", "protocol")  # the left-aligned columns; the others hold numbers

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title>
<style>
* { box-sizing: border-box; print-color-adjust: exact; -webkit-print-color-adjust: exact; }
body { margin: 0 auto; padding: 1.5rem 1.25rem 3rem; max-width: 84rem; color: #1d2329;
  background: #fff; font: 1rem/1.5 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }
h1 { margin: 0 0 .6rem; font-size: 1.7rem; line-height: 1.2; overflow-wrap: anywhere; }
h2 { margin: 2.2rem 0 .6rem; font-size: 1.15rem; break-after: avoid; }
p { margin: .3rem 0; }
code { padding: .1em .35em; border-radius: 4px; background: #f0f2f4; font-size: .88em;
  overflow-wrap: anywhere; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
tr { break-inside: avoid; }
th, td { padding: .35rem .8rem; border-bottom: 1px solid #e1e5e9; text-align: left; }
thead th { border-bottom: 2px solid #1d2329; font-size: .85rem; vertical-align: bottom; }
.number { text-align: right; }
.stage { white-space: nowrap; }
.protocol { min-width: 11rem; }
/* Columns of one width, so that the bars compare along a row too. */
.iou .number { min-width: 6.8rem; max-width: 6.8rem; overflow-wrap: break-word; }
.bar { background: linear-gradient(90deg, #9cc4e0 var(--share), #eef2f5 var(--share))
  .8rem 100% / calc(100% - .8rem) 4px no-repeat; }
.note, thead small { color: #5b6670; font-size: .85rem; font-weight: 400; }
.scroll { overflow-x: auto; }
details { margin-top: 2rem; }
summary { cursor: pointer; font-weight: 600; }
.tags { display: flex; flex-wrap: wrap; gap: .3rem 1.1rem; margin-bottom: .6rem; }
.tag { display: inline-flex; align-items: center; gap: .4rem; font-size: .9rem; font-weight: 400; }
/* A swatch looks as the overlay does: a rim of the colour itself, inside it blended with grey. */
.swatch { flex: none; width: 1.1em; height: 1.1em; border: 3px solid var(--colour, #414141);
  border-radius: 3px; background: color-mix(in srgb, var(--colour, #414141) 55%, #808080); }
.background { background: #414141; }
.unlabelled { border: 0;
  background: repeating-linear-gradient(135deg, #a0a0a0 0 2px, #ccc 2px 5px); }
.heat { width: 5em; border: 0; background: linear-gradient(90deg, {{ heat }}); }
figure { margin: 0; padding: .8rem 0; border-top: 1px solid #e1e5e9; break-inside: avoid; }
figcaption { display: flex; flex-wrap: wrap; align-items: center; gap: .2rem 1.1rem;
  margin-bottom: .5rem; }
figure img { display: block; max-width: 100%; height: auto; }
@media screen and (max-width: 45rem) { figure img { max-width: none; } }
@media print { html { font-size: 11px; } body { padding: 0; } }
</style>
</head>
<body>
{%- macro tag(name) %}<span class="tag">
  {%- if name in colours %}<i class="swatch" style="--colour: {{ colours[name] }}"></i>
  {%- elif name == "background" %}<i class="swatch background"></i>{% endif %}
  {{- name }}</span>{% endmacro %}
<h1>{{ title }}</h1>
<p>Labels: <code>{{ labels_folder }}</code></p>
<p>To browse the tracked runs: <code>{{ ui_command }}</code></p>
{%- if not scored %}
<p>There are no masks to compare with, so no stage has an mIoU; the pictures show the labels.</p>
{%- endif %}
{%- if skipped %}
<h2>Skipped images</h2>
<ul>
{%- for image, why in skipped.items() %}
<li><b>{{ image }}</b>: {{ why }}</li>
{%- endfor %}
</ul>
{%- endif %}
{%- if rows %}
<h2>Stages</h2>
<div class="scroll"><table>
<thead><tr>{% for name in columns %}<th class="{{ name if name in words else 'number' }}">
  {{- name }}</th>{% endfor %}</tr></thead>
<tbody>
{%- for row in rows %}
<tr>{% for name in columns %}<td class="{{ name if name in words else 'number' }}">
  {{- row[name] }}</td>{% endfor %}</tr>
{%- endfor %}
</tbody>
</table></div>
{%- if "gain" in columns %}
<p class="note">Gain: points of mIoU over the row before that was scored on the same split.</p>
{%- endif %}
{%- endif %}
{%- if scored_rows %}
<h2>IoU by class</h2>
<div class="scroll"><table class="iou">
<thead><tr><th>class</th>{% for row in scored_rows %}<th class="number">{{ row.stage }}<br>
<small>{{ row.split }}</small></th>{% endfor %}</tr></thead>
<tbody>
{%- for name in names %}
<tr><th>{{ tag(name) }}</th>{% for row in scored_rows %}{% set iou = row.iou.get(name) -%}
<td class="number bar" style="--share: {{ iou | number('.1%', '0%') }}">
  {{- iou | number(".1%") }}</td>
{%- endfor %}</tr>
{%- endfor %}
</tbody>
</table></div>
{%- endif %}
<details><summary>Settings</summary>
<div class="scroll"><table><tbody>
{%- for key, value in settings.items() %}
<tr><td><code>{{ key }}</code></td><td>{{ value }}</td></tr>
{%- endfor %}
</tbody></table></div>
</details>
{%- if gallery %}
<h2>Gallery</h2>
<div class="tags">{% for name in ["background"] + classes %}{{ tag(name) }}{% endfor %}
<span class="tag"><i class="swatch unlabelled"></i>unlabelled</span>
<span class="tag"><i class="swatch heat"></i>activation, 0 to 1</span></div>
{%- for item in gallery %}
<figure>
<figcaption><b>{{ item.image }}</b>{% for name in item.classes %}{{ tag(name) }}{% endfor %}
{%- if item.miou is not none %}<span class="note">mIoU {{ item.miou | number(".1%") }}</span>
{%- endif %}</figcaption>
<div class="scroll"><img alt="The stages of image {{ item.image }}" src="{{ item.strip | data }}"
  width="{{ item.strip.width }}" height="{{ item.strip.height }}"></div>
</figure>
{%- endfor %}
{%- endif %}
</body>
</html>
"""


def write_report(
    path: Path,
    *,
    title: str,
    table: list[dict],
    gallery: list[dict],
    classes: list[str],
    palette: np.ndarray,
    ui_command: str,
    labels_folder: str,
    settings: dict,
    skipped: dict[str, str],
) -> None:
    """Write the page to `path`, whole or not at all.

    gallery: dicts {"image": id, "classes": [names], "miou": float or None, "strip": RGB image};
    classes: the foreground names in the order of their labels 1, 2, ...; palette: uint8 [256, 3],
    indexed by label; settings: dotted key -> value; skipped: image -> why.
    """
    rows = _stage_cells(table)
    scored_names = dict.fromkeys(name for row in table for name in row["iou"])
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    environment.filters |= {"number": _number, "data": _data_url}
    page = environment.from_string(PAGE).render(
        title=title,
        ui_command=ui_command,
        labels_folder=labels_folder,
        settings=settings,
        skipped=skipped,
        gallery=gallery,
        classes=classes,
        colours={name: _hex(palette[label]) for label, name in enumerate(classes, start=1)},
        heat=", ".join(map(_hex, HEAT)),
        words=WORDS,
        rows=rows,
        # A column without a single value is left out.
        columns=[name for name in (rows or [{}])[0] if {row[name] for row in rows} != {MISSING}],
        scored=any(_known(row["miou"]) for row in table),
        scored_rows=[row for row in table if any(map(_known, row["iou"].values()))],
        # What has a score but is not among the classes is the background: it comes first.
        names=[name for name in scored_names if name not in classes] + classes,
    )
    with atomic_write(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def format_table(table: list[dict]) -> str:
    """The stages as aligned plain text: a line of headings and a line for each row."""
    names = ("stage", "on", "mIoU", "gain", "coverage", "s/image")
    lines = [dict(zip(names, names, strict=True)), *_stage_cells(table)]
    widths = {name: max(len(line[name]) for line in lines) for name in names}
    return "\n".join(
        "  ".join(f"{line[name]:{'<' if name in WORDS else '>'}{widths[name]}}" for name in names) for line in lines
    )


def format_ablations(rows: list[dict], further: list[dict], base: str, dataset: str) -> str:
    """The experiments as aligned plain text, the best first.

    rows: dicts {"experiment": name, "miou_no_crf", "miou", "difference", "low", "high", "segmentation_miou": float in
    0..1 or None}; low and high bound the difference to `base`. further: other comparisons, dicts {"experiment",
    "against", "stage": text, "difference", "low", "high"}.
    """
    names = ("experiment", "no CRF", "with CRF", "difference", "95 %", "segmentation")
    lines = [dict(zip(names, names, strict=True))]
    for row in sorted(rows, key=lambda row: -(row["miou"] or 0)):
        bounds = [_points(row[key], "+.1f") for key in ("low", "high")]
        cells = (
            row["experiment"],
            *(_number(row[key], ".1%") for key in ("miou_no_crf", "miou")),
            _points(row["difference"], "+.1f"),
            MISSING if MISSING in bounds else f"{bounds[0]} to {bounds[1]}",
            _number(row["segmentation_miou"], ".1%"),
        )
        lines.append(dict(zip(names, cells, strict=True)))
    widths = {name: max(len(line[name]) for line in lines) for name in names}
    table = [
        "  ".join(f"{line[name]:{'<' if name == 'experiment' else '>'}{widths[name]}}" for name in names)
        for line in lines
    ]
    title = f"experiments on {dataset}, mIoU of the pseudo labels; difference to {base} in points, with CRF"
    pairs = [
        f"{row['experiment']} against {row['against']}, {row['stage']}: {_points(row['difference'], '+.1f')}"
        f" ({_points(row['low'], '+.1f')} to {_points(row['high'], '+.1f')})"
        for row in further
    ]
    return "\n".join([title, "", *table, *([""] if pairs else []), *pairs]) + "\n"


def _points(value: float | None, spec: str) -> str:
    """A share of 1 in points, in Python's format `spec`."""
    return _number(round(100 * value, 1) + 0.0 if _known(value) else None, spec)  # no -0.0


def _stage_cells(table: list[dict]) -> list[dict[str, str]]:
    """The table's rows as texts, heading -> cell."""
    return [
        {
            "stage": row["stage"],
            "on": row["split"],
            "protocol": row["protocol"],
            "images": str(row["images"]),
            "mIoU": _number(row["miou"], ".1%"),
            "gain": _number(gain, "+.1f"),
            "coverage": _number(row["coverage"], ".1%"),
            "precision": _number(row["precision"], ".1%"),
            "s/image": _number(row["seconds_per_image"], ".3f"),
        }
        for row, gain in zip(table, _gains(table), strict=True)
    ]


def _gains(table: list[dict]) -> list[float | None]:
    """Points of each row's mIoU over the row before that was scored on the same split.

    A row that covers only a part of the pixels compares with none: its mIoU is that of what it dared to label.
    """
    before: dict[str, float] = {}
    gains = []
    for row in table:
        miou, split = row["miou"], row["split"]
        if _known(row["coverage"]) and row["coverage"] < 1:
            gains.append(None)
            continue
        gains.append(100 * (miou - before[split]) if _known(miou) and split in before else None)
        if _known(miou):
            before[split] = miou
    return gains


def _known(value: float | None) -> bool:
    """Whether a score is there: neither None nor NaN."""
    return value is not None and not math.isnan(value)


def _number(value: float | None, spec: str, missing: str = MISSING) -> str:
    """The value in Python's format `spec` (".1%": 0.4567 -> "45.7%"), or `missing`."""
    return format(value, spec) if _known(value) else missing


def _hex(colour: np.ndarray) -> str:
    """uint8 [3] -> "#rrggbb"."""
    return "#" + bytes(colour).hex()


def _data_url(picture: Image.Image) -> str:
    """The picture as a URL: a JPEG with its colours at full resolution, as contours are thin."""
    stream = io.BytesIO()
    picture.save(stream, format="JPEG", quality=88, subsampling=0, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode()
