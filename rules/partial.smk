# Partial pseudo labels: what the CAMs are sure of.

for folder, experiment in OWNERS["partial"].items():
    settings = EXPERIMENTS[experiment]
    for batch, ids in BATCHES["label"].items():

        rule:
            name:
                named("partial", folder, batch)
            input:
                images=paths(ids),
                cams=of(experiment, "cam", ids),
            output:
                labels=per_image("partial", folder, ids),
                seconds=f"{RESULTS}/seconds/partial/{folder}{batch}.csv",
            log:
                f"{RESULTS}/logs/partial/{folder}{batch}.log",
            benchmark:
                f"{RESULTS}/benchmarks/partial/{folder}{batch}.tsv"
            conda:
                ENVIRONMENT
            params:
                ids=ids,
                settings=settings["partial"],
            message:
                f"partial labels of {len(ids)} images ({folder}{batch})"
            script:
                f"{SCRIPTS}/label_partial.py"
