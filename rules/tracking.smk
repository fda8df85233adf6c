# The MLflow runs: a parent an experiment, a child a stage that it computes.

import os

TRACKING_URI = os.environ.get("MLFLOW_TRACKING_URI", "sqlite:///results/mlflow.db")
STORE = f"{RESULTS}/mlflow/store.json"
UI_ADDRESS = "$MLFLOW_TRACKING_URI" if TRACKING_URI.startswith("http") else "http://127.0.0.1:5000"
UI_COMMAND = ".venv/bin/mlflow ui --backend-store-uri "
if TRACKING_URI.startswith("sqlite:"):
    UI_COMMAND += TRACKING_URI
elif TRACKING_URI.startswith("http"):
    UI_COMMAND = "open $MLFLOW_TRACKING_URI"
else:
    UI_COMMAND += "$MLFLOW_TRACKING_URI"  # by its name: it may hold a password

# What is tracked: the stage by whose folder it goes, the settings that go with it, the evaluations.
TRACKED = {
    "classifier": ("classifier", ("classifier", "backbone", "seed"), ()),
    "cam": ("cam_label", ("cam", "background_score"), ("cam",)),
    "boundary": ("boundary", ("irnet", "backbone", "seed"), ()),
    "affinitynet": ("affinitynet", ("psa", "backbone", "seed"), ()),
    "partial": ("partial", ("partial",), ("partial",)),
    "refine": ("refined", (), ("refined",)),
    "pseudo": ("pseudo", ("pseudo",), ("refined_crf",)),
    "segmentation": (
        "predict",
        ("segmentation", "seed"),
        ("segmentation_single", "segmentation_multi", "segmentation_multi_crf"),
    ),
}
REFINED_BY = {  # settings of each kind of refinement
    "gcn": ("affinity", "graph", "refine", "seed"),
    "random_walk": ("affinity", "graph.radius", "graph.beta", "random_walk"),
    "none": ("background_score",),
}
LABELS_OF = {"boundary": "irnet_label", "affinitynet": "psa_label"}  # that a network was trained on


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


for experiment, settings in EXPERIMENTS.items():

    rule:
        name:
            f"experiment_{experiment}"
        input:
            store=STORE,
        output:
            f"{RESULTS}/mlflow/{experiment}/parent.json",
        log:
            f"{RESULTS}/logs/experiment/{experiment}.log",
        conda:
            ENVIRONMENT
        params:
            experiment=experiment,
            settings={"dataset": config["dataset"]} | relevant_settings(settings),
            description=describe(experiment, config),
        message:
            f"starting the MLflow run of {experiment}"
        script:
            f"{SCRIPTS}/start_experiment.py"


for tracked, (stage, keys, evaluated) in TRACKED.items():
    for folder, experiment in OWNERS[stage].items():
        settings = EXPERIMENTS[experiment]
        networks = tracked == "refine" and settings["refinement"] == "gcn"
        history = f"{tracked}_history" in FILES

        rule:
            name:
                named(f"track_{tracked}", folder)
            input:
                **({"history": one_file(f"{tracked}_history", FOLDERS[tracked][experiment])} if history else {}),
                **({"refined": per_image("refined", folder, DATA.label)} if networks else {}),
                store=STORE,
                seconds=seconds_of(experiment, LABELS_OF[tracked], "train") if tracked in LABELS_OF else [],
                made=made(experiment, tracked),
                evaluations=evaluations(experiment, "json", evaluated),
                pictures=evaluations(experiment, "png", evaluated),
            output:
                **(
                    {
                        "curves": report(
                            f"{RESULTS}/mlflow/{folder}{tracked}.png",
                            caption="report/curves.rst",
                            category="Losses",
                            labels={"experiment": experiment, "stage": tracked},
                        )
                    }
                    if history or networks
                    else {}
                ),
                run=f"{RESULTS}/mlflow/{folder}{tracked}.json",
            log:
                f"{RESULTS}/logs/track/{folder}{tracked}.log",
            conda:
                ENVIRONMENT
            params:
                experiment=experiment,
                stage=tracked,
                uri=TRACKING_URI,
                settings=active_settings(settings, keys or REFINED_BY[settings["refinement"]]),
                description=f"stage {tracked} on {config['dataset']['name']}",
            message:
                f"logging {tracked} to MLflow ({experiment})"
            script:
                f"{SCRIPTS}/track_stage.py"
