# The end of an experiment: its report, its completed MLflow run, its table. All of them side by side. Each by its name.

GALLERY = evenly_spaced(DATA.label, config["report"]["images"])
PLACES = {BASE: further_places(PLAN, BASE, config["dataset"]["name"])}

for job in PLAN.experiment_jobs("report"):

    rule:
        name:
            job.name
        input:
            evaluations=PLAN.evaluations(job.experiment),
            images=PLAN.paths(GALLERY),
            cams=PLAN.files(job.experiment, "cam", GALLERY),
            boundaries=boundary_files(PLAN, job.experiment, GALLERY),
            partials=PLAN.files(job.experiment, "partial", GALLERY),
            refined=PLAN.files(job.experiment, "refined", GALLERY),
            pseudo=PLAN.files(job.experiment, "pseudo", GALLERY),
            masks=PLAN.masks(GALLERY),
        output:
            report(
                f"{RESULTS}/report/{job.experiment}.html",
                caption="report/gallery.rst",
                category="Galleries",
                labels={"experiment": job.experiment},
            ),
        log:
            job.log,
        localrule: True
        conda:
            ENVIRONMENT
        params:
            **reasons(config, job.settings),
            ids=GALLERY,
            labels=PLAN.tags(GALLERY),
            masks=[DATA.label[image].mask for image in GALLERY],
            mask_values=list(DATA.mask_values),
            classes=CLASSES,
            dataset=config["dataset"]["name"],
            experiment=job.experiment,
            refinement=job.settings["refinement"],
            settings=relevant_settings(job.settings),
            ui_command=UI_COMMAND,
            places=PLACES.get(job.experiment, {}),
        message:
            f"writing the report of {job.experiment}"
        script:
            f"{SCRIPTS}/write_report.py"


for job in PLAN.experiment_jobs("summary"):

    rule:
        name:
            job.name
        input:
            store=STORE,
            views=f"{RESULTS}/mlflow/views.json",
            parent=f"{RESULTS}/mlflow/{job.experiment}/parent.json",
            evaluations=PLAN.evaluations(job.experiment),
            pictures=PLAN.evaluations(job.experiment, "png"),
            runs=PLAN.run_files(job.experiment, own=True),
            shared_runs=PLAN.run_files(job.experiment, own=False),
            trainings=PLAN.training_records(job.experiment),
            report=f"{RESULTS}/report/{job.experiment}.html",
        output:
            f"{RESULTS}/summary/{job.experiment}.txt",
        log:
            job.log,
        localrule: True
        conda:
            ENVIRONMENT
        params:
            dataset=config["dataset"]["name"],
            experiment=job.experiment,
            uri=TRACKING_URI,
            places={
                "labels": f"{RESULTS}/pseudo/{PLAN.folders['pseudo'][job.experiment]}",
                "report": f"{RESULTS}/report/{job.experiment}.html",
                "MLflow": UI_COMMAND,
            }
            | PLACES.get(job.experiment, {}),
            ui_address=UI_ADDRESS,
            training_labels=PLAN.files(job.experiment, f"{job.settings['affinity']}_label", DATA.train),
            missing=MISSING,
        message:
            f"completing the MLflow run and the summary of {job.experiment}"
        script:
            f"{SCRIPTS}/summarise_experiment.py"


for job, reference in PLAN.comparison_jobs(PAIRS):

    rule:
        name:
            job.name
        input:
            images=PLAN.paths(job.ids),
            masks=PLAN.masks(job.ids),
            own=job.files("pseudo"),
            reference=PLAN.files(reference, "pseudo", job.ids),
            own_counts=PLAN.evaluations(job.experiment, "npz", COMPARED_STAGES),
            reference_counts=PLAN.evaluations(reference, "npz", COMPARED_STAGES),
        output:
            result=f"{RESULTS}/comparison/{reference}/{job.experiment}.json",
            picture=report(
                f"{RESULTS}/comparison/{reference}/{job.experiment}.png",
                caption="report/disagreement.rst",
                category="Labels",
                subcategory="disagreement",
                labels={"experiment": f"{job.experiment} with {reference}"},
            ),
        log:
            job.log,
        benchmark:
            job.benchmark
        localrule: True
        conda:
            ENVIRONMENT
        params:
            experiment=job.experiment,
            reference=reference,
            ids=job.ids,
            masks=[image.mask for image in DATA.label.values()],
            mask_values=list(DATA.mask_values),
        message:
            f"comparing {job.experiment} with {reference}"
        script:
            f"{SCRIPTS}/compare_experiments.py"


if PLAN.states_ablations:

    rule ablations:
        input:
            store=STORE,
            parents=[f"{RESULTS}/mlflow/{name}/parent.json" for name in EXPERIMENTS],
            summaries=[f"{RESULTS}/summary/{name}.txt" for name in EXPERIMENTS],
            evaluations=[path for name in EXPERIMENTS for path in PLAN.evaluations(name)],
            counts=[path for name in EXPERIMENTS for path in PLAN.evaluations(name, "npz", COMPARED_STAGES)],
            comparisons=[f"{RESULTS}/comparison/{reference}/{name}.json" for name, reference in PAIRS],
            pictures=[f"{RESULTS}/comparison/{reference}/{name}.png" for name, reference in PAIRS],
        output:
            table=report(
                f"{RESULTS}/ablations/table.csv",
                caption="report/table.rst",
                category="Ablations",
                labels={"what": "table of experiments"},
            ),
            pairs=report(
                f"{RESULTS}/ablations/pairs.csv",
                caption="report/pairs.rst",
                category="Ablations",
                labels={"what": "further comparisons"},
            ),
            chart=report(
                f"{RESULTS}/ablations/chart.png",
                caption="report/chart.rst",
                category="Ablations",
                labels={"what": "difference to the base"},
            ),
            classes=report(
                f"{RESULTS}/ablations/classes.png",
                caption="report/classes.rst",
                category="Ablations",
                labels={"what": "IoU by class"},
            ),
            class_table=report(
                f"{RESULTS}/ablations/classes.csv",
                caption="report/classes.rst",
                category="Ablations",
                labels={"what": "table of IoU by class"},
            ),
            text=f"{RESULTS}/ablations/summary.txt",
        log:
            f"{RESULTS}/logs/ablations.log",
        localrule: True
        conda:
            ENVIRONMENT
        params:
            base=BASE,
            evaluations={name: PLAN.evaluations(name) for name in EXPERIMENTS},
            counts={name: PLAN.evaluations(name, "npz", COMPARED_STAGES) for name in EXPERIMENTS},
            pairs=PAIRS,
            descriptions={name: describe(name, config, EXPERIMENTS) for name in EXPERIMENTS},
            dataset=config["dataset"]["name"],
        message:
            f"comparing {len(EXPERIMENTS)} experiments"
        script:
            f"{SCRIPTS}/compare_ablations.py"


# Last, so that no experiment has the name of a rule.
if taken := EXPERIMENTS.keys() & ({rule.name for rule in workflow.rules} | set(FIXED_RULES)):
    lines = [f"config: experiment {name}: is the name of a rule; choose another" for name in sorted(taken)]
    raise WorkflowError("\n".join(lines))

for job in PLAN.experiment_jobs(""):

    rule:
        name:
            job.name
        input:
            f"{RESULTS}/summary/{job.experiment}.txt",
            job.files("pseudo"),
        message:
            f"{job.experiment} is complete"
