"""Complete the experiment's parent run and write the table of stages that ends the workflow."""

from pathlib import Path

from wsgcn.evaluation.names import metric_name
from wsgcn.evaluation.stages import all_skipped
from wsgcn.files import atomic_write, read_json, why_skipped
from wsgcn.reporting.report import format_table
from wsgcn.tracking.runs import finish_run, log, log_files, runs_without_parent, set_parent
from wsgcn.workflow.jobs import logged

MANY = 0.2
"""A share of partial labels without background that is told: more than close-ups explain."""

with logged(snakemake.log[0]):
    p, inputs = snakemake.params, snakemake.input
    store, parent = read_json(inputs.store), read_json(inputs.parent)["run_id"]
    evaluations = [read_json(path) for path in inputs.evaluations]
    own, shared = ([read_json(path)["run_id"] for path in paths] for paths in (inputs.runs, inputs.shared_runs))
    set_parent(store, parent, own + runs_without_parent(store, shared))
    metrics = {metric_name(e): e["miou"] for e in evaluations}
    partial = [e for e in evaluations if e["stage"] == "partial"]
    metrics |= {metric_name(e, w): e[w] for e in partial for w in ("coverage", "precision", "without_background")}
    metrics |= {metric_name(e, "seconds_per_image"): e["seconds_per_image"] for e in evaluations}
    minutes = {Path(path).stem: read_json(path)["seconds"] / 60 for path in inputs.trainings}
    metrics |= {f"minutes/{stage}": value for stage, value in minutes.items()}
    metrics |= {metric_name(e, f"iou/{n}"): v for e in evaluations for n, v in e["iou"].items()}
    protocols = {f"protocol.{e['stage']}": e["protocol"] for e in evaluations}
    trained_on = {Path(path).stem: why_skipped(path) for path in p.training_labels if Path(path).is_file()}
    skipped = {image: why for image, why in trained_on.items() if why} | all_skipped(evaluations) | p.missing
    metrics["skipped_images"] = len(skipped)
    log(store, parent, metrics=metrics, tags=protocols)

    trained = ", ".join(f"{stage} {value:.1f}" for stage, value in minutes.items())
    lines = [f"{p.experiment} on {p.dataset}", "", format_table(evaluations), "", f"minutes of training: {trained}", ""]
    bare = max((e["without_background"] for e in partial), default=0)
    if bare > MANY:
        lines += [f"{bare:.0%} of the partial labels hold no background, so what is made of them hardly will:"]
        lines += ["too few images, a classifier trained too little, or too high a partial.alpha_high", ""]
    lines += [f"{what:<10}{where}" for what, where in p.places.items()]
    lines.append(f"{'table':<10}{p.ui_address}/{read_json(inputs.views)['table']}")
    if skipped:
        lines += ["", f"skipped {len(skipped)} image(s)", *(f"{image}: {why}" for image, why in skipped.items())]
        rules = sorted({why.split(":")[0] for why in skipped.values() if why not in p.missing.values()})
        lines += ["once they are mended: snakemake --forcerun " + " ".join(rules)] if rules else []
    with atomic_write(snakemake.output[0]) as path:
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    log_files(store, parent, [snakemake.output[0], inputs.report, *inputs.pictures])
    finish_run(store, parent)
