# The demo's drawing, and smaller copies of large images. Images from elsewhere are looked at before anything runs
# (see onstart in the Snakefile).

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


for batch, ids in batches_of(LARGE).items():

    rule:
        name:
            f"shrink_{batch}"
        input:
            [ORIGINALS.images[image].path for image in ids],
        output:
            paths(ids),
        log:
            f"{RESULTS}/logs/shrink/{batch}.log",
        benchmark:
            f"{RESULTS}/benchmarks/shrink/{batch}.tsv"
        conda:
            ENVIRONMENT
        params:
            longest=config["dataset"]["longest_side"],
        message:
            f"smaller copies of {len(ids)} images ({batch})"
        script:
            f"{SCRIPTS}/shrink_images.py"
