# The end of an experiment: its report, its completed MLflow run, the table on the terminal.

UI_COMMAND = ".venv/bin/mlflow ui --backend-store-uri "
if TRACKING_URI.startswith("sqlite:"):
    UI_COMMAND += TRACKING_URI
elif TRACKING_URI.startswith("http"):
    UI_COMMAND = "open $MLFLOW_TRACKING_URI"
else:
    UI_COMMAND += "$MLFLOW_TRACKING_URI"  # by its name: it may hold a password

GALLERY = spread(DATA.label, config["report"]["images"])


rule report:
    input:
        evaluations=lambda wildcards: evaluations(wildcards.experiment),
        images=paths(GALLERY),
        cams=shown("cam"),
        boundaries=shown("irnet_affinity"),
        partials=shown("partial"),
        refined=shown("refined"),
        pseudo=shown("pseudo"),
        masks=masks(GALLERY),
    output:
        f"{RESULTS}/report/{{experiment}}.html",
    log:
        f"{RESULTS}/logs/report/{{experiment}}.log",
    wildcard_constraints:
        experiment=NAMES,
    conda:
        ENVIRONMENT
    params:
        ids=GALLERY,
        labels=classes(GALLERY),
        masks=[DATA.images[image].mask for image in GALLERY],
        mask_values=list(DATA.mask_values),
        classes=CLASSES,
        dataset=config["dataset"]["name"],
        refinement=lambda wildcards: EXPERIMENTS[wildcards.experiment]["refinement"],
        settings=lambda wildcards: EXPERIMENTS[wildcards.experiment],
        ui_command=UI_COMMAND,
    message:
        "writing the report of {wildcards.experiment}"
    script:
        f"{SCRIPTS}/make_report.py"


rule summary:
    input:
        store=STORE,
        parent=f"{RESULTS}/mlflow/{{experiment}}/parent.json",
        evaluations=lambda wildcards: evaluations(wildcards.experiment),
        pictures=lambda wildcards: evaluations(wildcards.experiment, "png"),
        runs=lambda wildcards: runs(wildcards.experiment, own=True),
        shared_runs=lambda wildcards: runs(wildcards.experiment, own=False),
        report=rules.report.output[0],
    output:
        f"{RESULTS}/summary/{{experiment}}.txt",
    log:
        f"{RESULTS}/logs/summary/{{experiment}}.log",
    wildcard_constraints:
        experiment=NAMES,
    conda:
        ENVIRONMENT
    params:
        dataset=config["dataset"]["name"],
        uri=TRACKING_URI,
        trainings=trainings,
        places=lambda wildcards: {
            "labels": f"{RESULTS}/pseudo/{FOLDERS['pseudo'][wildcards.experiment]}",
            "report": f"{RESULTS}/report/{wildcards.experiment}.html",
            "MLflow": UI_COMMAND,
        },
    message:
        "completing the MLflow run and the summary of {wildcards.experiment}"
    script:
        f"{SCRIPTS}/summarise.py"


for name in EXPERIMENTS:

    rule:
        name:
            name
        input:
            f"{RESULTS}/summary/{name}.txt",
            of(name, "pseudo", DATA.label),
        message:
            f"{name} is there"
