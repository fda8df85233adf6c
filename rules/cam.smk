# The classifier and its class activation maps, or maps from elsewhere.


rule classifier:
    input:
        images=paths(DATA.train),
        weights=weights_file("classifier", "backbone"),
    output:
        model=f"{RESULTS}/{FILES['classifier']}",
        history=f"{RESULTS}/classifier/{{variant}}history.csv",
    log:
        f"{RESULTS}/logs/{{variant}}classifier.log",
    benchmark:
        f"{RESULTS}/benchmarks/{{variant}}classifier.tsv"
    wildcard_constraints:
        variant=variants("classifier"),
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
        backbone=setting("classifier", "backbone"),
        settings=setting("classifier", "classifier"),
        seed=setting("classifier", "seed"),
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
            model=source("cam", "classifier"),
        output:
            cams=per_image(FILES["cam"], ids),
            seconds=f"{RESULTS}/seconds/cam/{{variant}}{batch}.csv",
        log:
            f"{RESULTS}/logs/cam/{{variant}}{batch}.log",
        benchmark:
            f"{RESULTS}/benchmarks/cam/{{variant}}{batch}.tsv"
        wildcard_constraints:
            variant=variants("cam", lambda settings: not settings["cam"]["folder"]),
        conda:
            ENVIRONMENT
        resources:
            gpu=GPU,
            device=config["device"],
        params:
            ids=ids,
            labels=classes(ids),
            classes=len(CLASSES),
            backbone=setting("cam", "backbone"),
            settings=setting("cam", "cam"),
        message:
            f"CAMs of {len(ids)} images ({{wildcards.variant}}{batch})"
        script:
            f"{SCRIPTS}/make_cams.py"

    rule:
        name:
            f"foreign_cam_{batch}"
        input:
            images=paths(ids),
            cams=foreign_cams(ids),
        output:
            cams=per_image(FILES["cam"], ids),
            seconds=f"{RESULTS}/seconds/cam/{{variant}}{batch}.csv",
        log:
            f"{RESULTS}/logs/cam/{{variant}}{batch}.log",
        benchmark:
            f"{RESULTS}/benchmarks/cam/{{variant}}{batch}.tsv"
        wildcard_constraints:
            variant=variants("cam", lambda settings: settings["cam"]["folder"]),
        conda:
            ENVIRONMENT
        params:
            ids=ids,
            labels=classes(ids),
            names=CLASSES,
            numbering=list(DATA.numbering),
        message:
            f"reading the CAMs of {len(ids)} images ({{wildcards.variant}}{batch})"
        script:
            f"{SCRIPTS}/read_cams.py"
