"""Register the trained network as an MLflow model under the data set's name."""

from wsgcn.files import read_json, write_json
from wsgcn.serving.package import fingerprint, save_package
from wsgcn.tracking.models import register_model
from wsgcn.workflow.jobs import logged
from wsgcn.workflow.provenance import source_hash

with logged(snakemake.log[0]):
    p, inputs = snakemake.params, snakemake.input
    store, run = read_json(inputs.store), read_json(inputs.run)["run_id"]
    tags = {"experiment": p.experiment, "fingerprint": fingerprint(inputs.model, p.settings, source_hash())}

    def save(folder, model):
        save_package(folder, inputs.model, p.settings, model)

    version = register_model(store, run, p.name, tags, save)
    write_json(snakemake.output[0], {"name": p.name, "version": version, "run_id": run})
