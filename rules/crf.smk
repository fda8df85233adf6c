# Complete pseudo labels: the refined scores at full size through a dense CRF.

for batch, ids in batches_of(DATA.label).items():

    rule:
        name:
            f"pseudo_{batch}"
        input:
            images=paths(ids),
            refined=source("pseudo", "refined", ids),
        output:
            labels=per_image(FILES["pseudo"], ids),
            seconds=f"{RESULTS}/seconds/pseudo/{{variant}}{batch}.csv",
        log:
            f"{RESULTS}/logs/pseudo/{{variant}}{batch}.log",
        benchmark:
            f"{RESULTS}/benchmarks/pseudo/{{variant}}{batch}.tsv"
        wildcard_constraints:
            variant=variants("pseudo"),
        conda:
            ENVIRONMENT
        params:
            ids=ids,
            settings=setting("pseudo", "pseudo", "crf"),
        message:
            f"CRF labels of {len(ids)} images ({{wildcards.variant}}{batch})"
        script:
            f"{SCRIPTS}/label_pseudo.py"
