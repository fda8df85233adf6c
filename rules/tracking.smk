# Evaluation of every stage, its MLflow run, the report and the summary.

import os

TRACKING_URI = os.environ.get("MLFLOW_TRACKING_URI", "sqlite:///results/mlflow.db")
UI_COMMAND = f".venv/bin/mlflow ui --backend-store-uri {TRACKING_URI}"
if not TRACKING_URI.startswith("sqlite:"):
    UI_COMMAND = f"open {TRACKING_URI}"
STORE = f"{RESULTS}/mlflow/store.json"
PARENT = f"{RESULTS}/mlflow/{EXPERIMENT}/parent.json"


# What is evaluated: the images, their files, the tables of seconds, the protocol in words.
PREDICTED = f"segmentation/{EXPERIMENT}"
SCALES = ", ".join(map(str, config["segmentation"]["prediction"]["scales"]))
FLIP = " and flip" if config["segmentation"]["prediction"]["flip"] else ""
EVALUATED = {
    "cam": (
        DATA.label,
        "cam/{image}.npz",
        "cam",
        f"argmax against background {config['background_score']}",
    ),
    "partial": (DATA.label, "partial/{image}.png", "partial", "labelled pixels only"),
    "gcn": (
        DATA.label,
        f"refined/{EXPERIMENT}/{{image}}.npz",
        f"refine_{EXPERIMENT}",
        "no CRF",
    ),
    "gcn_crf": (
        DATA.label,
        f"pseudo/{EXPERIMENT}/{{image}}.png",
        f"pseudo_{EXPERIMENT}",
        "dense CRF",
    ),
    "segmentation_single": (
        DATA.evaluate,
        f"{PREDICTED}/single/{{image}}.png",
        f"predict_{EXPERIMENT}",
        "one scale",
    ),
    "segmentation_multi": (
        DATA.evaluate,
        f"{PREDICTED}/multi/{{image}}.png",
        f"predict_{EXPERIMENT}",
        f"scales {SCALES}{FLIP}",
    ),
    "segmentation_multi_crf": (
        DATA.evaluate,
        f"{PREDICTED}/multi_crf/{{image}}.png",
        f"predict_{EXPERIMENT}",
        f"scales {SCALES}{FLIP}, dense CRF",
    ),
}
for stage, (images, pattern, timed, protocol) in EVALUATED.items():
    pictures = spread(images, min(9, config["report"]["images"]))

    rule:
        name:
            f"evaluate_{stage}"
        input:
            images=paths(images),
            labels=per_image(pattern, images),
            masks=masks(images),
            seconds=(
                seconds_of(timed, images)
                if stage != "cam"
                else [f"{RESULTS}/seconds/cam/{b}.csv" for b in batches_of(DATA.train | DATA.label)]
            ),
        output:
            result=evaluation_of(stage),
            picture=evaluation_of(stage, "png"),
        log:
            f"{RESULTS}/logs/evaluate/{EXPERIMENT}/{stage}.log",
        benchmark:
            f"{RESULTS}/benchmarks/evaluate/{EXPERIMENT}/{stage}.tsv"
        conda:
            ENVIRONMENT
        params:
            stage=stage,
            split=config["dataset"]["evaluate" if images is DATA.evaluate else "label"],
            protocol=protocol,
            ids=list(images),
            masks=[DATA.images[image].mask for image in images],
            mask_values=list(DATA.mask_values),
            classes=CLASSES,
            background_score=config["background_score"] if stage == "cam" else None,
            pictures=pictures,
        message:
            f"evaluating {stage} on {len(images)} images"
        script:
            f"{SCRIPTS}/evaluate.py"


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


rule experiment:
    input:
        store=STORE,
    output:
        PARENT,
    log:
        f"{RESULTS}/logs/experiment/{EXPERIMENT}.log",
    conda:
        ENVIRONMENT
    params:
        experiment=EXPERIMENT,
        settings={key: value for key, value in config.items() if key not in ("device", "batch_size")},
        description=f"{EXPERIMENT} on {config['dataset']['name']}: all settings and every stage's mIoU",
    message:
        f"starting the MLflow run of {EXPERIMENT}"
    script:
        f"{SCRIPTS}/start_experiment.py"


# What is tracked: the stage's settings, its curves, the evaluations that belong to it.
TRACKED = {
    "classifier": (
        {"classifier": config["classifier"]},
        {"history": rules.classifier.output.history},
        [],
    ),
    "cam": (
        {"cam": config["cam"], "background_score": config["background_score"]},
        {},
        ["cam"],
    ),
    "boundary": (
        {"irnet": config["irnet"]},
        {"history": rules.boundary.output.history},
        [],
    ),
    "partial": ({"partial": config["partial"]}, {}, ["partial"]),
    "refine": (
        {"graph": config["graph"], "refine": config["refine"]},
        {"refined": per_image(f"refined/{EXPERIMENT}/{{image}}.npz", DATA.label)},
        ["gcn"],
    ),
    "pseudo": ({"pseudo": config["pseudo"]}, {}, ["gcn_crf"]),
    "segmentation": (
        {"segmentation": config["segmentation"]},
        {"history": rules.segmentation.output.history},
        ["segmentation_single", "segmentation_multi", "segmentation_multi_crf"],
    ),
}

for stage, (settings, measured, evaluated) in TRACKED.items():

    rule:
        name:
            f"track_{stage}"
        input:
            **measured,
            store=ancient(STORE),
            parent=ancient(PARENT),
            evaluations=[evaluation_of(e) for e in evaluated],
            pictures=[evaluation_of(e, "png") for e in evaluated],
        output:
            **({"curves": f"{RESULTS}/mlflow/{EXPERIMENT}/{stage}.png"} if measured else {}),
            run=f"{RESULTS}/mlflow/{EXPERIMENT}/{stage}.json",
        log:
            f"{RESULTS}/logs/track/{EXPERIMENT}/{stage}.log",
        conda:
            ENVIRONMENT
        params:
            experiment=EXPERIMENT,
            stage=stage,
            settings=settings,
            description=f"stage {stage} of {EXPERIMENT} on {config['dataset']['name']}",
        message:
            f"logging {stage} to MLflow"
        script:
            f"{SCRIPTS}/track.py"


GALLERY = spread(DATA.label, config["report"]["images"])


rule report:
    input:
        evaluations=[evaluation_of(stage) for stage in EVALUATED],
        images=paths(GALLERY),
        cams=per_image("cam/{image}.npz", GALLERY),
        affinities=per_image("affinity/irnet/{image}.npz", GALLERY),
        partials=per_image("partial/{image}.png", GALLERY),
        refined=per_image(f"refined/{EXPERIMENT}/{{image}}.npz", GALLERY),
        pseudo=per_image(f"pseudo/{EXPERIMENT}/{{image}}.png", GALLERY),
        masks=masks(GALLERY),
    output:
        f"{RESULTS}/report.html",
    log:
        f"{RESULTS}/logs/report.log",
    conda:
        ENVIRONMENT
    params:
        ids=GALLERY,
        labels=classes(GALLERY),
        masks=[DATA.images[image].mask for image in GALLERY],
        mask_values=list(DATA.mask_values),
        classes=CLASSES,
        dataset=config["dataset"]["name"],
        experiment=EXPERIMENT,
        settings=config,
        ui_command=UI_COMMAND,
    message:
        "writing the report"
    script:
        f"{SCRIPTS}/make_report.py"


rule summary:
    input:
        store=STORE,
        parent=PARENT,
        evaluations=[evaluation_of(stage) for stage in EVALUATED],
        pictures=[evaluation_of(stage, "png") for stage in EVALUATED],
        runs=[f"{RESULTS}/mlflow/{EXPERIMENT}/{stage}.json" for stage in TRACKED],
        report=rules.report.output[0],
    output:
        f"{RESULTS}/summary.txt",
    log:
        f"{RESULTS}/logs/summary.log",
    conda:
        ENVIRONMENT
    params:
        dataset=config["dataset"]["name"],
        experiment=EXPERIMENT,
        partial_metrics=["coverage", "precision"],
        places={
            "labels": f"{RESULTS}/pseudo/{EXPERIMENT}/",
            "report": f"{RESULTS}/report.html",
            "MLflow": UI_COMMAND,
        },
    message:
        "completing the MLflow run and the summary"
    script:
        f"{SCRIPTS}/summarise.py"
