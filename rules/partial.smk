# Partial pseudo labels: what the CAMs are sure of.

for batch, ids in batches_of(DATA.label).items():

    rule:
        name:
            f"partial_{batch}"
        input:
            images=paths(ids),
            cams=per_image("cam/{image}.npz", ids),
        output:
            labels=per_image("partial/{image}.png", ids),
            seconds=f"{RESULTS}/seconds/partial/{batch}.csv",
        log:
            f"{RESULTS}/logs/partial/{batch}.log",
        benchmark:
            f"{RESULTS}/benchmarks/partial/{batch}.tsv"
        conda:
            ENVIRONMENT
        params:
            ids=ids,
            settings=config["partial"],
        message:
            f"partial labels of {len(ids)} images ({batch})"
        script:
            f"{SCRIPTS}/label_partial.py"
