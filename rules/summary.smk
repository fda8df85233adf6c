# The end of an experiment: its report, its completed MLflow run, the table on the terminal.

GALLERY = spread(DATA.label, config["report"]["images"])

for experiment, settings in EXPERIMENTS.items():

    rule:
        name:
            f"report_{experiment}"
        input:
            evaluations=evaluations(experiment),
            images=paths(GALLERY),
            cams=of(experiment, "cam", GALLERY),
            boundaries=of(experiment, "irnet_affinity", GALLERY),
            partials=of(experiment, "partial", GALLERY),
            refined=of(experiment, "refined", GALLERY),
            pseudo=of(experiment, "pseudo", GALLERY),
            masks=masks(GALLERY),
        output:
            report(
                f"{RESULTS}/report/{experiment}.html",
                caption="report/gallery.rst",
                category="Galleries",
                labels={"experiment": experiment},
            ),
        log:
            f"{RESULTS}/logs/report/{experiment}.log",
        conda:
            ENVIRONMENT
        params:
            ids=GALLERY,
            labels=classes(GALLERY),
            masks=[DATA.label[image].mask for image in GALLERY],
            mask_values=list(DATA.mask_values),
            classes=CLASSES,
            dataset=config["dataset"]["name"],
            experiment=experiment,
            refinement=settings["refinement"],
            settings=relevant_settings(settings),
            ui_command=UI_COMMAND,
        message:
            f"writing the report of {experiment}"
        script:
            f"{SCRIPTS}/write_report.py"

    rule:
        name:
            f"summary_{experiment}"
        input:
            store=STORE,
            views=rules.views.output[0],
            parent=f"{RESULTS}/mlflow/{experiment}/parent.json",
            evaluations=evaluations(experiment),
            pictures=evaluations(experiment, "png"),
            runs=runs(experiment, own=True),
            shared_runs=runs(experiment, own=False),
            trainings=trainings(experiment),
            report=f"{RESULTS}/report/{experiment}.html",
        output:
            f"{RESULTS}/summary/{experiment}.txt",
        log:
            f"{RESULTS}/logs/summary/{experiment}.log",
        conda:
            ENVIRONMENT
        params:
            dataset=config["dataset"]["name"],
            experiment=experiment,
            uri=TRACKING_URI,
            places={
                "labels": f"{RESULTS}/pseudo/{FOLDERS['pseudo'][experiment]}",
                "report": f"{RESULTS}/report/{experiment}.html",
                "MLflow": UI_COMMAND,
            },
            ui_address=UI_ADDRESS,
            training_labels=of(experiment, f"{settings['affinity']}_label", DATA.train),
            missing=MISSING,
        message:
            f"completing the MLflow run and the summary of {experiment}"
        script:
            f"{SCRIPTS}/summarise_experiment.py"
