# Evaluation of every stage, its MLflow run, the report and the summary.

import os

TRACKING_URI = os.environ.get("MLFLOW_TRACKING_URI", "sqlite:///results/mlflow.db")
UI_COMMAND = ".venv/bin/mlflow ui --backend-store-uri "
if TRACKING_URI.startswith("sqlite:"):
    UI_COMMAND += TRACKING_URI
elif TRACKING_URI.startswith("http"):
    UI_COMMAND = "open $MLFLOW_TRACKING_URI"
else:
    UI_COMMAND += "$MLFLOW_TRACKING_URI"  # by its name: it may hold a password
STORE = f"{RESULTS}/mlflow/store.json"
PARENT = f"{RESULTS}/mlflow/{EXPERIMENT}/parent.json"


# What is evaluated: images, their files, the batch stages whose seconds count, the protocol in words.
SCALES = ", ".join(map(str, config["segmentation"]["prediction"]["scales"]))
MULTI = f"scales {SCALES}{' and flip' if config['segmentation']['prediction']['flip'] else ''}"
EVALUATED = {
    "cam": dict(
        images=DATA.label,
        files="cam/{image}.npz",
        seconds=seconds_of("cam", DATA.train | DATA.label),
        protocol=f"argmax against background {config['background_score']}",
    ),
    "partial": dict(
        images=DATA.label,
        files="partial/{image}.png",
        seconds=seconds_of("partial", DATA.label),
        protocol="labelled pixels only",
    ),
    "gcn": dict(
        images=DATA.label,
        files=f"refined/{EXPERIMENT}/{{image}}.npz",
        seconds=seconds_of("affinity", DATA.label) + seconds_of(f"refine_{EXPERIMENT}", DATA.label),
        protocol="no CRF",
    ),
    "gcn_crf": dict(
        images=DATA.label,
        files=f"pseudo/{EXPERIMENT}/{{image}}.png",
        seconds=seconds_of(f"pseudo_{EXPERIMENT}", DATA.label),
        protocol="dense CRF",
    ),
    "segmentation_single": dict(
        images=DATA.evaluate,
        files=f"segmentation/{EXPERIMENT}/single/{{image}}.png",
        seconds=[],
        protocol="one scale, no CRF",
    ),
    "segmentation_multi": dict(
        images=DATA.evaluate,
        files=f"segmentation/{EXPERIMENT}/multi/{{image}}.png",
        seconds=[],
        protocol=f"{MULTI}, no CRF",
    ),
    "segmentation_multi_crf": dict(
        images=DATA.evaluate,
        files=f"segmentation/{EXPERIMENT}/multi_crf/{{image}}.png",
        seconds=seconds_of(f"predict_{EXPERIMENT}", DATA.evaluate),
        protocol=f"{MULTI}, dense CRF",
    ),
}


for stage, what in EVALUATED.items():
    images = what["images"]

    rule:
        name:
            f"evaluate_{stage}"
        input:
            images=paths(images),
            labels=per_image(what["files"], images),
            masks=masks(images),
            seconds=what["seconds"],
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
            split=Path(config["dataset"]["evaluate" if images is DATA.evaluate else "label"]).stem,
            protocol=what["protocol"],
            ids=list(images),
            masks=[DATA.images[image].mask for image in images],
            mask_values=list(DATA.mask_values),
            classes=CLASSES,
            background_score=config["background_score"] if stage == "cam" else None,
            pictures=spread(images, min(9, config["report"]["images"])),
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
        settings=SETTINGS,
        description=f"{EXPERIMENT} on {config['dataset']['name']}: all settings and every stage's mIoU",
    message:
        f"starting the MLflow run of {EXPERIMENT}"
    script:
        f"{SCRIPTS}/start_experiment.py"


# What is tracked: the stage's settings, its curves, the evaluations that belong to it.
TRACKED = {
    "classifier": (
        {"classifier": config["classifier"], "backbone": config["backbone"], "seed": config["seed"]},
        {"history": rules.classifier.output.history},
        [],
    ),
    "cam": (
        {"cam": config["cam"], "background_score": config["background_score"]},
        {},
        ["cam"],
    ),
    "boundary": (
        {"irnet": config["irnet"], "backbone": config["backbone"], "seed": config["seed"]},
        {"history": rules.boundary.output.history, "seconds": seconds_of("irnet_label", DATA.train)},
        [],
    ),
    "partial": ({"partial": config["partial"]}, {}, ["partial"]),
    "refine": (
        {"graph": config["graph"], "refine": config["refine"], "seed": config["seed"]},
        {"refined": per_image(f"refined/{EXPERIMENT}/{{image}}.npz", DATA.label)},
        ["gcn"],
    ),
    "pseudo": ({"pseudo": config["pseudo"]}, {}, ["gcn_crf"]),
    "segmentation": (
        {"segmentation": config["segmentation"], "seed": config["seed"]},
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
            store=STORE,
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
            uri=TRACKING_URI,
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
        settings=SETTINGS,
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
        uri=TRACKING_URI,
        trainings={
            stage: f"{RESULTS}/benchmarks/{path}.tsv"
            for stage, path in (
                ("classifier", "classifier"),
                ("boundary", "boundary"),
                ("segmentation", f"segmentation/{EXPERIMENT}"),
            )
        },
        places={
            "labels": f"{RESULTS}/pseudo/{EXPERIMENT}/",
            "report": f"{RESULTS}/report.html",
            "MLflow": UI_COMMAND,
        },
    message:
        "completing the MLflow run and the summary"
    script:
        f"{SCRIPTS}/summarise.py"
