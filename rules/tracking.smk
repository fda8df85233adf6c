# The MLflow runs: a parent an experiment, a child a stage that it computes.

import os

TRACKING_URI = os.environ.get("MLFLOW_TRACKING_URI", "sqlite:///results/mlflow.db")
STORE = f"{RESULTS}/mlflow/store.json"


rule store:
    output:
        STORE,
    log:
        f"{RESULTS}/logs/store.log",
    conda:
        ENVIRONMENT
    params:
        uri=TRACKING_URI,
        name=config["dataset"]["name"],
        artifacts="results/mlartifacts",
        columns=[
            (split_of(EVALUATED[stage]["images"]), stage, what)
            for stage, what in (
                ("cam", "miou"),
                ("partial", "miou"),
                ("refined", "miou"),
                ("refined_crf", "miou"),
                ("refined_crf", "difference_to_base"),
                ("segmentation_multi_crf", "miou"),
            )
        ],
        parameters=["sigma1", "sigma2", "lambda_ent", "lambda_lap"],
    message:
        "creating the MLflow store"
    script:
        f"{SCRIPTS}/create_store.py"


rule experiment:
    input:
        store=STORE,
    output:
        f"{RESULTS}/mlflow/{{experiment}}/parent.json",
    log:
        f"{RESULTS}/logs/experiment/{{experiment}}.log",
    wildcard_constraints:
        experiment=NAMES,
    conda:
        ENVIRONMENT
    params:
        settings=lambda wildcards: {"dataset": config["dataset"]} | EXPERIMENTS[wildcards.experiment],
        description=lambda wildcards: describe(wildcards.experiment, config),
    message:
        "starting the MLflow run of {wildcards.experiment}"
    script:
        f"{SCRIPTS}/start_experiment.py"


for stage, what in TRACKED.items():
    measured = what.get("measured", {})

    rule:
        name:
            f"track_{stage}"
        input:
            **measured,
            store=STORE,
            seconds=timed_by(what),
            evaluations=evaluated_by(what, "json"),
            pictures=evaluated_by(what, "png"),
        output:
            **({"curves": curves_of(what["by"], stage)} if measured else {}),
            run=f"{RESULTS}/mlflow/{{variant}}{stage}.json",
        log:
            f"{RESULTS}/logs/track/{{variant}}{stage}.log",
        wildcard_constraints:
            variant=variants(what["by"], what.get("wanted", lambda settings: True)),
        conda:
            ENVIRONMENT
        params:
            experiment=partial(owner, what["by"]),
            stage=stage,
            uri=TRACKING_URI,
            settings=sections(what),
            description=f"stage {stage} on {config['dataset']['name']}",
        message:
            f"logging {stage} to MLflow ({{wildcards.variant}})"
        script:
            f"{SCRIPTS}/track.py"
