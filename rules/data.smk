# The demo's drawing. Images from elsewhere are looked at before anything runs (see onstart in the Snakefile).

if config["dataset"]["kind"] == "demo":

    for batch, ids in batches_of(DATA.images).items():

        rule:
            name:
                f"demo_{batch}"
            output:
                images=paths(ids),
                masks=masks(ids),
                annotations=[f"{RESULTS}/voc/Annotations/{image}.xml" for image in ids],
            log:
                f"{RESULTS}/logs/demo/{batch}.log",
            benchmark:
                f"{RESULTS}/benchmarks/demo/{batch}.tsv"
            conda:
                ENVIRONMENT
            params:
                ids=ids,
                classes=classes(ids),
                size=config["dataset"]["demo_size"],
                seed=config["seed"],
            message:
                f"drawing {len(ids)} images ({batch})"
            script:
                f"{SCRIPTS}/draw_demo.py"
