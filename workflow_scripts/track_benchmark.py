"""Log the benchmark of the GCN core to MLflow."""

import pandas as pd

from wsgcn.files import read_json, write_json
from wsgcn.refinement.benchmark import averages
from wsgcn.tracking.runs import finish_run, log, log_files, mark_current, start_run
from wsgcn.workflow.jobs import logged

with logged(snakemake.log[0]):
    p, inputs = snakemake.params, snakemake.input
    store = read_json(inputs.store)
    tags = {"stage": "benchmark"}
    run = start_run(store, "benchmark", tags, p.settings, p.description)
    means = averages(pd.read_csv(inputs.table)).set_index("method")
    columns = ("seconds", "peak_mb", "equal_percent", "equal_percent_small", "ratio")
    log(
        store,
        run,
        metrics={
            f"{m.replace(',', '')}/{c}": float(means.loc[m, c])
            for m in means.index
            for c in columns
            if pd.notna(means.loc[m, c])
        },
    )
    log_files(store, run, [inputs.table, inputs.figure, inputs.summary])
    finish_run(store, run)
    mark_current(store, run, tags)
    write_json(snakemake.output.run, {"run_id": run})
