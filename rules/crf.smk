# Complete pseudo labels: the refined scores at full size through a dense CRF.

for batch, ids in batches_of(DATA.label).items():

    rule:
        name:
            f"pseudo_{batch}"
        input:
            images=paths(ids),
            refined=per_image(f"refined/{EXPERIMENT}/{{image}}.npz", ids),
        output:
            labels=per_image(f"pseudo/{EXPERIMENT}/{{image}}.png", ids),
            seconds=f"{RESULTS}/seconds/pseudo_{EXPERIMENT}/{batch}.csv",
        log:
            f"{RESULTS}/logs/pseudo/{EXPERIMENT}/{batch}.log",
        benchmark:
            f"{RESULTS}/benchmarks/pseudo/{EXPERIMENT}/{batch}.tsv"
        conda:
            ENVIRONMENT
        params:
            ids=ids,
            settings=config["pseudo"]["crf"],
        message:
            f"CRF labels of {len(ids)} images ({batch})"
        script:
            f"{SCRIPTS}/label_pseudo.py"
