"""Put all experiments side by side: a table, two charts, a text, and into each one's MLflow run what is its own."""

from pathlib import Path

import pandas as pd

from wsgcn.bootstrap import interval, resampled_miou
from wsgcn.comparison_figures import ablation_chart, class_chart
from wsgcn.evaluation import metric_name, none_if_nan
from wsgcn.files import read_arrays, read_json, whole_file
from wsgcn.jobs import logged
from wsgcn.report import format_ablations
from wsgcn.tracking import log, log_files

with logged(snakemake.log[0]):
    p, inputs, outputs = snakemake.params, snakemake.input, snakemake.output
    store = read_json(inputs.store)
    parents = {Path(path).parent.name: read_json(path)["run_id"] for path in inputs.parents}
    comparisons = {Path(path).stem: read_json(path) for path in inputs.comparisons}
    pictures = {Path(path).stem: path for path in inputs.pictures}
    rows, by_class = [], {}
    for name, paths in p.evaluations.items():
        stages = {e["stage"]: e for e in map(read_json, paths)}
        own, labels = comparisons.get(name, {}), stages["refined_crf"]
        low, high = map(none_if_nan, interval(resampled_miou(read_arrays(p.counts[name])["counts"])))
        val = stages.get("segmentation_multi_crf", {})
        rows.append(
            {
                "experiment": name,
                "miou_no_crf": stages["refined"]["miou"],
                "miou": labels["miou"],
                "miou_low": low,
                "miou_high": high,
                **{key: own.get(key) for key in ("difference", "low", "high", "disagreement")},
                "segmentation_miou": val.get("miou"),
                "description": p.descriptions[name],
            }
        )
        by_class[name] = labels["iou"]
        metrics = {metric_name(labels, f"{key}_to_base"): own.get(key) for key in ("difference", "disagreement")}
        metrics |= {metric_name(labels, f"difference_to_base_{key}"): own.get(key) for key in ("low", "high")}
        metrics |= {metric_name(labels, "miou_low"): low, metric_name(labels, "miou_high"): high}
        log(store, parents[name], metrics=metrics)
        if name in pictures:
            log_files(store, parents[name], [pictures[name]])

    with whole_file(outputs.table) as path:
        pd.DataFrame(rows).to_csv(path, index=False, float_format="%.4f")
    with whole_file(outputs.class_table) as path:
        pd.DataFrame.from_dict(by_class, orient="index").rename_axis("experiment").to_csv(path, float_format="%.4f")
    scored = [row for row in rows if row["miou"] is not None]
    for output, figure in ((outputs.chart, ablation_chart(scored)), (outputs.classes, class_chart(by_class))):
        with whole_file(output) as path:
            figure.savefig(path, format="png", dpi=200)
    log_files(store, parents[p.base], [outputs.table, outputs.chart, outputs.classes])
    with whole_file(outputs.text) as path:
        path.write_text(format_ablations(rows, p.base, p.dataset), encoding="utf-8")
