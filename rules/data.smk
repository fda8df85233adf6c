# The demo's drawing, and one look at every image and mask before anything is computed.

if config["dataset"]["kind"] == "demo":

    for batch, ids in batches_of(DATA.images).items():

        rule:
            name:
                f"demo_{batch}"
            output:
                images=paths(ids),
                masks=masks(ids),
                annotations=per_image("voc/Annotations/{image}.xml", ids),
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


rule check_data:
    input:
        images=paths(DATA.images),
        masks=masks(DATA.images),
    output:
        CHECKED,
    log:
        f"{RESULTS}/logs/check_data.log",
    benchmark:
        f"{RESULTS}/benchmarks/check_data.tsv"
    conda:
        ENVIRONMENT
    params:
        images=[(image.path, image.mask) for image in DATA.images.values()],
        mask_values=list(DATA.mask_values),
    message:
        f"checking {len(DATA.images)} images and their masks"
    script:
        f"{SCRIPTS}/check_data.py"
