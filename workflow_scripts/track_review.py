"""Log a review of labels to MLflow."""

import pandas as pd

from wsgcn.files import read_json, write_json
from wsgcn.tracking.review import track_review
from wsgcn.tracking.tracker import Tracker
from wsgcn.workflow.jobs import logged

with logged(snakemake.log[0]):
    p, inputs = snakemake.params, snakemake.input
    auroc = inputs.get("auroc")
    rows = pd.read_csv(auroc).to_dict("records") if auroc else []
    files = [inputs.queue, inputs.text, *([auroc] if auroc else [])]
    tracker = Tracker(read_json(inputs.store))
    run = track_review(tracker, p.experiment, p.split, p.settings, p.description, rows, files)
    write_json(snakemake.output.run, {"run_id": run})
