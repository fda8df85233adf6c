"""Log the benchmark of the GCN core to MLflow."""

import pandas as pd

from wsgcn.files import read_json, write_json
from wsgcn.refinement.benchmark import averages
from wsgcn.tracking.benchmark import track_benchmark
from wsgcn.tracking.tracker import Tracker
from wsgcn.workflow.jobs import logged

with logged(snakemake.log[0]):
    params, inputs = snakemake.params, snakemake.input
    means, files = averages(pd.read_csv(inputs.table)), [inputs.table, inputs.figure, inputs.summary, *inputs.kinds]
    run = track_benchmark(Tracker(read_json(inputs.store)), means, params.settings, params.description, files)
    write_json(snakemake.output.run, {"run_id": run})
