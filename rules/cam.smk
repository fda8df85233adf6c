# The classifier and its class activation maps, or maps from elsewhere.

for folder, experiment in OWNERS["classifier"].items():
    settings = EXPERIMENTS[experiment]

    rule:
        name:
            named("classifier", folder)
        input:
            images=paths(DATA.train),
            weights=weights_file(settings["backbone"]),
        output:
            model=one_file("classifier", folder),
            history=one_file("classifier_history", folder),
            seconds=f"{RESULTS}/seconds/{folder}classifier.json",
        log:
            f"{RESULTS}/logs/{folder}classifier.log",
        benchmark:
            f"{RESULTS}/benchmarks/{folder}classifier.tsv"
        conda:
            ENVIRONMENT
        threads: TRAINING_CORES
        resources:
            gpu=GPU,
            device=config["device"],
        params:
            ids=list(DATA.train),  # beside the labels, lest two images that swap them go unseen
            labels=classes(DATA.train),
            classes=len(CLASSES),
            backbone=settings["backbone"],
            settings=settings["classifier"],
            seed=settings["seed"],
        message:
            f"training the classifier on {len(DATA.train)} images (progress: {{log}})"
        script:
            f"{SCRIPTS}/train_classifier.py"


for folder, experiment in OWNERS["cam"].items():
    settings = EXPERIMENTS[experiment]
    if settings["cam"]["folder"]:
        continue
    for batch, ids in BATCHES["cam"].items():

        rule:
            name:
                named("cam", folder, batch)
            input:
                images=paths(ids),
                model=one_file("classifier", FOLDERS["classifier"][experiment]),
            output:
                cams=per_image("cam", folder, ids),
                seconds=f"{RESULTS}/seconds/cam/{folder}{batch}.csv",
            log:
                f"{RESULTS}/logs/cam/{folder}{batch}.log",
            benchmark:
                f"{RESULTS}/benchmarks/cam/{folder}{batch}.tsv"
            conda:
                ENVIRONMENT
            resources:
                gpu=GPU,
                device=config["device"],
            params:
                ids=ids,
                labels=classes(ids),
                classes=len(CLASSES),
                backbone=settings["backbone"],
                settings={key: settings["cam"][key] for key in ("scales", "flip")},
            message:
                f"CAMs of {len(ids)} images ({folder}{batch})"
            script:
                f"{SCRIPTS}/make_cams.py"


for folder, experiment in OWNERS["cam"].items():
    settings = EXPERIMENTS[experiment]
    if not settings["cam"]["folder"]:
        continue
    for batch, ids in BATCHES["cam"].items():

        rule:
            name:
                named("foreign_cam", folder, batch)
            input:
                images=paths(ids),
                cams=[f"{settings['cam']['folder']}/{image}.npy" for image in ids],
            output:
                cams=per_image("cam", folder, ids),
                seconds=f"{RESULTS}/seconds/cam/{folder}{batch}.csv",
            log:
                f"{RESULTS}/logs/cam/{folder}{batch}.log",
            benchmark:
                f"{RESULTS}/benchmarks/cam/{folder}{batch}.tsv"
            conda:
                ENVIRONMENT
            params:
                **full_sizes(ids),
                ids=ids,
                labels=classes(ids),
                names=CLASSES,
                numbering=list(DATA.numbering),
            message:
                f"reading the CAMs of {len(ids)} images ({folder}{batch})"
            script:
                f"{SCRIPTS}/read_cams.py"
