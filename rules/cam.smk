# The classifier and its class activation maps.


rule classifier:
    input:
        images=paths(DATA.train),
        weights=weights_file(config["backbone"]),
    output:
        model=f"{RESULTS}/classifier/model.pt",
        history=f"{RESULTS}/classifier/history.csv",
    log:
        f"{RESULTS}/logs/classifier.log",
    benchmark:
        f"{RESULTS}/benchmarks/classifier.tsv"
    conda:
        ENVIRONMENT
    threads: ALL_CORES
    resources:
        gpu=GPU,
        device=config["device"],
    params:
        ids=list(DATA.train),  # beside the labels, lest two images that swap them go unseen
        labels=classes(DATA.train),
        classes=len(CLASSES),
        backbone=config["backbone"],
        settings=config["classifier"],
        seed=config["seed"],
    message:
        f"training the classifier on {len(DATA.train)} images (progress: {{log}})"
    script:
        f"{SCRIPTS}/train_classifier.py"


for batch, ids in batches_of(DATA.train | DATA.label).items():

    rule:
        name:
            f"cam_{batch}"
        input:
            images=paths(ids),
            model=rules.classifier.output.model,
        output:
            cams=per_image("cam/{image}.npz", ids),
            seconds=f"{RESULTS}/seconds/cam/{batch}.csv",
        log:
            f"{RESULTS}/logs/cam/{batch}.log",
        benchmark:
            f"{RESULTS}/benchmarks/cam/{batch}.tsv"
        conda:
            ENVIRONMENT
        resources:
            gpu=GPU,
            device=config["device"],
        params:
            ids=ids,
            labels=classes(ids),
            classes=len(CLASSES),
            backbone=config["backbone"],
            settings=config["cam"],
        message:
            f"CAMs of {len(ids)} images ({batch})"
        script:
            f"{SCRIPTS}/make_cams.py"
