# Every experiment beside the base: what its labels change, and whether that is more than chance.


rule compare:
    input:
        images=paths(DATA.label),
        masks=masks(DATA.label),
        base=of(BASE, "pseudo", DATA.label),
        other=lambda wildcards: of(wildcards.experiment, "pseudo", DATA.label),
        base_counts=evaluations(BASE, "npz", ["refined_crf"]),
        other_counts=lambda wildcards: evaluations(wildcards.experiment, "npz", ["refined_crf"]),
    output:
        result=f"{RESULTS}/comparison/{{experiment}}.json",
        picture=report(
            f"{RESULTS}/comparison/{{experiment}}.png",
            caption="report/disagreement.rst",
            category="Labels",
            subcategory="Disagreement with the base",
            labels={"experiment": "{experiment}"},
        ),
    log:
        f"{RESULTS}/logs/compare/{{experiment}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/compare/{{experiment}}.tsv"
    wildcard_constraints:
        experiment=OTHERS,
    conda:
        ENVIRONMENT
    params:
        base=BASE,
        ids=list(DATA.label),
        masks=[DATA.images[image].mask for image in DATA.label],
        mask_values=list(DATA.mask_values),
    message:
        f"comparing {{wildcards.experiment}} with {BASE}"
    script:
        f"{SCRIPTS}/compare.py"


rule ablations:
    input:
        store=STORE,
        parents=[f"{RESULTS}/mlflow/{name}/parent.json" for name in EXPERIMENTS],
        summaries=[f"{RESULTS}/summary/{name}.txt" for name in EXPERIMENTS],
        evaluations=[path for name in EXPERIMENTS for path in evaluations(name)],
        counts=[path for name in EXPERIMENTS for path in evaluations(name, "npz", ["refined_crf"])],
        comparisons=[f"{RESULTS}/comparison/{name}.json" for name in EXPERIMENTS if name != BASE],
        pictures=[f"{RESULTS}/comparison/{name}.png" for name in EXPERIMENTS if name != BASE],
    output:
        table=report(
            f"{RESULTS}/ablations/table.csv",
            caption="report/table.rst",
            category="Ablations",
            labels={"what": "table of experiments"},
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
        counts={name: evaluations(name, "npz", ["refined_crf"])[0] for name in EXPERIMENTS},
        descriptions={name: describe(name, config) for name in EXPERIMENTS},
        dataset=config["dataset"]["name"],
    message:
        f"comparing {len(EXPERIMENTS)} experiments"
    script:
        f"{SCRIPTS}/compare_all.py"
