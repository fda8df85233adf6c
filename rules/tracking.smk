# The MLflow runs: a parent per experiment, a child per stage that it computes.

STORE = f"{RESULTS}/mlflow/store.json"
UI_ADDRESS = "$MLFLOW_TRACKING_URI" if TRACKING_URI.startswith("http") else "http://127.0.0.1:5000"
UI_COMMAND = f".venv/bin/mlflow ui --backend-store-uri {TRACKING_URI}"
if TRACKING_URI.startswith("http"):
    UI_COMMAND = "open $MLFLOW_TRACKING_URI"


rule store:
    output:
        STORE,
    log:
        f"{RESULTS}/logs/store.log",
    priority: 100  # a store that cannot be made ends the run before hours of training
    localrule: True  # which sees the environment that names the store
    conda:
        ENVIRONMENT
    params:
        uri=TRACKING_URI,
        name=config["dataset"]["name"],
        artifacts=str(artifact_folder(TRACKING_URI) or ""),
    message:
        "creating the MLflow store"
    script:
        f"{SCRIPTS}/create_store.py"


rule views:
    input:
        store=STORE,
    output:
        f"{RESULTS}/mlflow/views.json",
    log:
        f"{RESULTS}/logs/views.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        name=config["dataset"]["name"],
        split=SPLITS["label"],
        val=SPLITS["evaluate"],
    message:
        "saving views of the MLflow runs"
    script:
        f"{SCRIPTS}/save_views.py"


for job in PLAN.experiment_jobs("experiment"):

    rule:
        name:
            job.name
        input:
            store=STORE,
        output:
            f"{RESULTS}/mlflow/{job.experiment}/parent.json",
        log:
            job.log,
        localrule: True
        conda:
            ENVIRONMENT
        params:
            experiment=job.experiment,
            settings={"dataset": dataset_settings(config["dataset"])}
            | relevant_settings(job.settings)
            | reasons(config, job.settings),
            description=describe(job.experiment, config, EXPERIMENTS),
        message:
            f"starting the MLflow run of {job.experiment}"
        script:
            f"{SCRIPTS}/start_experiment.py"


for tracked, row in TRACKED.items():
    for job in PLAN.tracking_jobs(tracked):
        networks = tracked == "refine" and REFINERS[job.settings["refinement"]].losses  # a network per image

        rule:
            name:
                job.name
            input:
                **({"history": PLAN.history(job.experiment, row.training)} if row.training else {}),
                **({"refined": job.files("refined")} if networks else {}),
                store=STORE,
                seconds=PLAN.seconds_files(job.experiment, row.labels, "train") if row.labels else [],
                made=PLAN.provenance_files(job.experiment, tracked),
                evaluations=PLAN.evaluations(job.experiment, "json", row.evaluations),
                pictures=PLAN.evaluations(job.experiment, "png", row.evaluations),
            output:
                **(
                    {
                        "curves": report(
                            f"{RESULTS}/mlflow/{job.folder}{tracked}.png",
                            caption="report/curves.rst",
                            category="Losses",
                            labels={"experiment": job.experiment, "stage": tracked},
                        )
                    }
                    if row.training or networks
                    else {}
                ),
                run=f"{RESULTS}/mlflow/{job.folder}{tracked}.json",
            log:
                job.log,
            localrule: True
            conda:
                ENVIRONMENT
            params:
                experiment=job.experiment,
                stage=tracked,
                uri=TRACKING_URI,
                settings=active_settings(job.settings, row.settings(job.settings)),
                description=f"stage {tracked} on {config['dataset']['name']}",
            message:
                f"logging {tracked} to MLflow ({job.experiment})"
            script:
                f"{SCRIPTS}/track_stage.py"


# Its own file, whichever experiment is the base: the data set's registered model has one current version.
MODEL_VERSION = f"{RESULTS}/mlflow/model.json"

for job in PLAN.experiment_jobs("register_model", [BASE]):

    rule:
        name:
            job.name
        input:
            store=STORE,
            run=f"{RESULTS}/mlflow/{PLAN.folders['predict'][BASE]}segmentation.json",
            model=job.file("segmentation"),
        output:
            MODEL_VERSION,
        log:
            job.log,
        localrule: True
        conda:
            ENVIRONMENT
        params:
            **served_params(job, config["dataset"]["name"], config["dataset"]["longest_side"], BLACK_WHITE),
            uri=TRACKING_URI,
        message:
            f"registering the network of {job.experiment} in MLflow"
        script:
            f"{SCRIPTS}/register_model.py"
