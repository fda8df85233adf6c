# DeepLabV2 on the pseudo labels, and its predictions.

for folder, experiment in OWNERS["segmentation"].items():
    settings = EXPERIMENTS[experiment]

    rule:
        name:
            named("segmentation", folder)
        input:
            images=paths(DATA.label),
            labels=of(experiment, "pseudo", DATA.label),
            weights=weights_file(settings["segmentation"]["training"]["backbone"]),
        output:
            model=one_file("segmentation", folder),
            history=one_file("segmentation_history", folder),
            seconds=f"{RESULTS}/seconds/{folder}segmentation.json",
        log:
            f"{RESULTS}/logs/{folder}segmentation.log",
        benchmark:
            f"{RESULTS}/benchmarks/{folder}segmentation.tsv"
        conda:
            ENVIRONMENT
        threads: TRAINING_CORES
        resources:
            gpu=GPU,
            device=config["device"],
        params:
            classes=len(CLASSES),
            settings=settings["segmentation"]["training"],
            seed=settings["seed"],
        message:
            f"training DeepLabV2 on {len(DATA.label)} pseudo labels of {experiment} (progress: {{log}})"
        script:
            f"{SCRIPTS}/train_segmentation.py"


for folder, experiment in OWNERS["predict"].items():
    settings = EXPERIMENTS[experiment]
    for batch, ids in BATCHES["evaluate"].items():

        rule:
            name:
                named("predict", folder, batch)
            input:
                images=paths(ids),
                model=one_file("segmentation", FOLDERS["segmentation"][experiment]),
            output:
                single=per_image("single", folder, ids),
                multi=per_image("multi", folder, ids),
                crf=per_image("multi_crf", folder, ids),
                seconds=f"{RESULTS}/seconds/predict/{folder}{batch}.csv",
            log:
                f"{RESULTS}/logs/predict/{folder}{batch}.log",
            benchmark:
                f"{RESULTS}/benchmarks/predict/{folder}{batch}.tsv"
            conda:
                ENVIRONMENT
            resources:
                gpu=GPU,
                device=config["device"],
            params:
                **full_sizes(ids),
                ids=ids,
                classes=len(CLASSES),
                backbone=settings["segmentation"]["training"]["backbone"],
                settings=settings["segmentation"]["prediction"],
            message:
                f"predicting {len(ids)} images ({folder}{batch})"
            script:
                f"{SCRIPTS}/predict.py"
