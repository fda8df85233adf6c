# DeepLabV2 on the pseudo labels, and its predictions.


rule segmentation:
    input:
        images=paths(DATA.label),
        labels=source("segmentation", "pseudo", DATA.label),
        weights=weights_file("segmentation", "segmentation", "training", "backbone"),
    output:
        model=f"{RESULTS}/{FILES['segmentation']}",
        history=f"{RESULTS}/{FILES['segmentation_history']}",
    log:
        f"{RESULTS}/logs/{{variant}}segmentation.log",
    benchmark:
        f"{RESULTS}/benchmarks/{{variant}}segmentation.tsv"
    wildcard_constraints:
        variant=variants("segmentation"),
    conda:
        ENVIRONMENT
    threads: ALL_CORES
    resources:
        gpu=GPU,
        device=config["device"],
    params:
        classes=len(CLASSES),
        settings=setting("segmentation", "segmentation", "training"),
        seed=setting("segmentation", "seed"),
    message:
        f"training DeepLabV2 on {len(DATA.label)} pseudo labels of {{wildcards.variant}} (progress: {{log}})"
    script:
        f"{SCRIPTS}/train_segmentation.py"


for batch, ids in batches_of(DATA.evaluate).items():

    rule:
        name:
            f"predict_{batch}"
        input:
            images=paths(ids),
            model=source("predict", "segmentation"),
        output:
            single=per_image(FILES["single"], ids),
            multi=per_image(FILES["multi"], ids),
            crf=per_image(FILES["multi_crf"], ids),
            seconds=f"{RESULTS}/seconds/predict/{{variant}}{batch}.csv",
        log:
            f"{RESULTS}/logs/predict/{{variant}}{batch}.log",
        benchmark:
            f"{RESULTS}/benchmarks/predict/{{variant}}{batch}.tsv"
        wildcard_constraints:
            variant=variants("predict"),
        conda:
            ENVIRONMENT
        resources:
            gpu=GPU,
            device=config["device"],
        params:
            ids=ids,
            classes=len(CLASSES),
            backbone=setting("predict", "segmentation", "training", "backbone"),
            settings=setting("predict", "segmentation", "prediction"),
        message:
            f"predicting {len(ids)} images ({{wildcards.variant}}{batch})"
        script:
            f"{SCRIPTS}/predict.py"
