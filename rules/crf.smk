# Complete pseudo labels: the refined scores at full size through a dense CRF.

for folder, experiment in OWNERS["pseudo"].items():
    settings = EXPERIMENTS[experiment]
    for batch, ids in BATCHES["label"].items():

        rule:
            name:
                named("pseudo", folder, batch)
            input:
                images=paths(ids),
                refined=of(experiment, "refined", ids),
            output:
                labels=per_image("pseudo", folder, ids),
                seconds=f"{RESULTS}/seconds/pseudo/{folder}{batch}.csv",
            log:
                f"{RESULTS}/logs/pseudo/{folder}{batch}.log",
            benchmark:
                f"{RESULTS}/benchmarks/pseudo/{folder}{batch}.tsv"
            conda:
                ENVIRONMENT
            params:
                **full_sizes(ids),
                ids=ids,
                settings=settings["pseudo"]["crf"],
            message:
                f"CRF labels of {len(ids)} images ({folder}{batch})"
            script:
                f"{SCRIPTS}/label_pseudo.py"
