# DeepLabV2 on the pseudo labels, and its predictions.


rule segmentation:
    input:
        images=paths(DATA.label),
        labels=per_image(f"pseudo/{EXPERIMENT}/{{image}}.png", DATA.label),
        weights=weights_file(config["segmentation"]["training"]["backbone"]),
    output:
        model=f"{RESULTS}/segmentation/{EXPERIMENT}/model.pt",
        history=f"{RESULTS}/segmentation/{EXPERIMENT}/history.csv",
    log:
        f"{RESULTS}/logs/segmentation/{EXPERIMENT}.log",
    benchmark:
        f"{RESULTS}/benchmarks/segmentation/{EXPERIMENT}.tsv"
    conda:
        ENVIRONMENT
    threads: ALL_CORES
    resources:
        gpu=GPU,
        device=config["device"],
    params:
        classes=len(CLASSES),
        settings=config["segmentation"]["training"],
        seed=config["seed"],
    message:
        f"training DeepLabV2 on {len(DATA.label)} pseudo labels (progress: {{log}})"
    script:
        f"{SCRIPTS}/train_segmentation.py"


for batch, ids in batches_of(DATA.evaluate).items():

    rule:
        name:
            f"predict_{batch}"
        input:
            images=paths(ids),
            model=rules.segmentation.output.model,
        output:
            single=per_image(f"segmentation/{EXPERIMENT}/single/{{image}}.png", ids),
            multi=per_image(f"segmentation/{EXPERIMENT}/multi/{{image}}.png", ids),
            crf=per_image(f"segmentation/{EXPERIMENT}/multi_crf/{{image}}.png", ids),
            seconds=f"{RESULTS}/seconds/predict_{EXPERIMENT}/{batch}.csv",
        log:
            f"{RESULTS}/logs/predict/{EXPERIMENT}/{batch}.log",
        benchmark:
            f"{RESULTS}/benchmarks/predict/{EXPERIMENT}/{batch}.tsv"
        conda:
            ENVIRONMENT
        resources:
            gpu=GPU,
            device=config["device"],
        params:
            ids=ids,
            classes=len(CLASSES),
            backbone=config["segmentation"]["training"]["backbone"],
            settings=config["segmentation"]["prediction"],
        message:
            f"predicting {len(ids)} images ({batch})"
        script:
            f"{SCRIPTS}/predict.py"
