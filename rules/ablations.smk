# Every experiment beside the base: what its labels change, and whether that is more than chance.

PAIRS = [(name, BASE) for name in EXPERIMENTS if name != BASE] + further_pairs(config)

for experiment, reference in PAIRS:

    rule:
        name:
            f"compare_{experiment}_with_{reference}"
        input:
            images=paths(DATA.label),
            masks=masks(DATA.label),
            own=of(experiment, "pseudo", DATA.label),
            reference=of(reference, "pseudo", DATA.label),
            own_counts=evaluations(experiment, "npz", ["refined", "refined_crf"]),
            reference_counts=evaluations(reference, "npz", ["refined", "refined_crf"]),
        output:
            result=f"{RESULTS}/comparison/{reference}/{experiment}.json",
            picture=report(
                f"{RESULTS}/comparison/{reference}/{experiment}.png",
                caption="report/disagreement.rst",
                category="Labels",
                subcategory="disagreement",
                labels={"experiment": f"{experiment} with {reference}"},
            ),
        log:
            f"{RESULTS}/logs/compare/{reference}/{experiment}.log",
        benchmark:
            f"{RESULTS}/benchmarks/compare/{reference}/{experiment}.tsv"
        conda:
            ENVIRONMENT
        params:
            experiment=experiment,
            reference=reference,
            ids=list(DATA.label),
            masks=[image.mask for image in DATA.label.values()],
            mask_values=list(DATA.mask_values),
        message:
            f"comparing {experiment} with {reference}"
        script:
            f"{SCRIPTS}/compare_experiments.py"


rule ablations:
    input:
        store=STORE,
        parents=[f"{RESULTS}/mlflow/{name}/parent.json" for name in EXPERIMENTS],
        summaries=[f"{RESULTS}/summary/{name}.txt" for name in EXPERIMENTS],
        evaluations=[path for name in EXPERIMENTS for path in evaluations(name)],
        counts=[path for name in EXPERIMENTS for path in evaluations(name, "npz", ["refined", "refined_crf"])],
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
    conda:
        ENVIRONMENT
    params:
        base=BASE,
        evaluations={name: evaluations(name) for name in EXPERIMENTS},
        counts={name: evaluations(name, "npz", ["refined", "refined_crf"]) for name in EXPERIMENTS},
        pairs=PAIRS,
        descriptions={name: describe(name, config) for name in EXPERIMENTS},
        dataset=config["dataset"]["name"],
    message:
        f"comparing {len(EXPERIMENTS)} experiments"
    script:
        f"{SCRIPTS}/compare_ablations.py"
