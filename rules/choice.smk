# Settings chosen by the labels that each of their values gives: `snakemake --cores 2 choose`.

if CANDIDATES and PLAN.states("solve_heads"):

    rule solve_heads:
        input:
            images=PLAN.paths(DATA.label),
            weights=weights_file(config, "backbone"),
        output:
            heads=f"{RESULTS}/choice/heads.npz",
        log:
            f"{RESULTS}/logs/solve_heads.log",
        benchmark:
            f"{RESULTS}/benchmarks/solve_heads.tsv"
        conda:
            ENVIRONMENT
        resources:
            **CLUSTER.job_resources("solve_heads", len(DATA.label), 1, network=True),
            **NETWORK,
        params:
            **select_params(config, {"backbone": "backbone"}),
            ids=list(DATA.label),
            groups=PLAN.groups(DATA.label),
            tags=PLAN.tags(DATA.label),
            classes=len(CLASSES),
            settings={key: config["classifier"][key] for key in ("l2", "folds")},
        message:
            "solving the classifiers that judge labels"
        script:
            f"{SCRIPTS}/solve_heads.py"


JUDGED = PLAN.uncorrected(DATA.label) or list(DATA.label)  # corrections are truth

for job in (replace(job, ids=JUDGED) for job in PLAN.experiment_jobs("judge", TRIED)):

    rule:
        name:
            job.name
        input:
            **judged_inputs(job),
            heads=f"{RESULTS}/choice/heads.npz",
            weights=weights_file(config, "backbone"),
        output:
            scores=f"{RESULTS}/choice/labels/{job.experiment}.json",
            counts=f"{RESULTS}/choice/labels/{job.experiment}.npz",
        log:
            job.log,
        benchmark:
            job.benchmark
        conda:
            ENVIRONMENT
        resources:
            **CLUSTER.job_resources("judge", len(DATA.label), 1, network=True),
            **NETWORK,
        params:
            **judged_params(job, config),
        message:
            f"judging the labels of {job.experiment}"
        script:
            f"{SCRIPTS}/judge_labels.py"


if CANDIDATES and PLAN.asks_for(*TRIED):

    rule choose_settings:
        input:
            scores=[f"{RESULTS}/choice/labels/{name}.json" for name in TRIED],
            counts=[f"{RESULTS}/choice/labels/{name}.npz" for name in TRIED],
        output:
            table=report(
                f"{RESULTS}/choice/table.csv",
                caption="report/choice.rst",
                category="Choice of settings",
                labels={"what": "scores by value"},
            ),
            text=report(
                f"{RESULTS}/choice/choice.txt",
                caption="report/choice.rst",
                category="Choice of settings",
                labels={"what": "what was chosen, and by which rule"},
            ),
            settings=f"{RESULTS}/choice/settings.yaml",
            decisions=f"{RESULTS}/choice/decisions.json",
        log:
            f"{RESULTS}/logs/choose_settings.log",
        localrule: True
        conda:
            ENVIRONMENT
        params:
            tried=TRIED,
            candidates=CANDIDATES,
            choose_by=config["choose_by"],
            images=len(JUDGED),
            dataset=config["dataset"]["name"],
        message:
            f"choosing {', '.join(CANDIDATES)}"
        script:
            f"{SCRIPTS}/choose_settings.py"

    rule choose:
        input:
            store=STORE,
            decisions=f"{RESULTS}/choice/decisions.json",
            table=f"{RESULTS}/choice/table.csv",
            text=f"{RESULTS}/choice/choice.txt",
            settings=f"{RESULTS}/choice/settings.yaml",
        output:
            run=f"{RESULTS}/mlflow/choice.json",
        log:
            f"{RESULTS}/logs/track_choice.log",
        localrule: True
        conda:
            ENVIRONMENT
        params:
            uri=TRACKING_URI,
            dataset=config["dataset"]["name"],
        message:
            "logging the choice of settings to MLflow"
        script:
            f"{SCRIPTS}/track_choice.py"
