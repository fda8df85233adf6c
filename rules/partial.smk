# Partial pseudo labels: what the CAMs are sure of.

for batch, ids in batches_of(DATA.label).items():

    rule:
        name:
            f"partial_{batch}"
        input:
            images=paths(ids),
            cams=source("partial", "cam", ids),
        output:
            labels=per_image(FILES["partial"], ids),
            seconds=f"{RESULTS}/seconds/partial/{{variant}}{batch}.csv",
        log:
            f"{RESULTS}/logs/partial/{{variant}}{batch}.log",
        benchmark:
            f"{RESULTS}/benchmarks/partial/{{variant}}{batch}.tsv"
        wildcard_constraints:
            variant=variants("partial"),
        conda:
            ENVIRONMENT
        params:
            ids=ids,
            settings=setting("partial", "partial"),
        message:
            f"partial labels of {len(ids)} images ({{wildcards.variant}}{batch})"
        script:
            f"{SCRIPTS}/label_partial.py"
