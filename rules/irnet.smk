# IRNet: labels from CAMs, the boundary branch trained on them, boundary maps and node features.

for folder, experiment in OWNERS["irnet_label"].items():
    settings = EXPERIMENTS[experiment]
    for batch, ids in BATCHES["train"].items():

        rule:
            name:
                named("irnet_label", folder, batch)
            input:
                images=paths(ids),
                cams=of(experiment, "cam", ids),
            output:
                labels=per_image("irnet_label", folder, ids),
                seconds=f"{RESULTS}/seconds/irnet_label/{folder}{batch}.csv",
            log:
                f"{RESULTS}/logs/irnet_label/{folder}{batch}.log",
            benchmark:
                f"{RESULTS}/benchmarks/irnet_label/{folder}{batch}.tsv"
            conda:
                ENVIRONMENT
            params:
                ids=ids,
                settings=settings["irnet"]["labels"],
            message:
                f"IRNet labels of {len(ids)} images ({folder}{batch})"
            script:
                f"{SCRIPTS}/label_irnet.py"


for folder, experiment in OWNERS["boundary"].items():
    settings = EXPERIMENTS[experiment]

    rule:
        name:
            named("boundary", folder)
        input:
            images=paths(DATA.train),
            labels=of(experiment, "irnet_label", DATA.train),
            weights=weights_file(settings["backbone"]),
        output:
            model=one_file("boundary", folder),
            history=one_file("boundary_history", folder),
            seconds=f"{RESULTS}/seconds/{folder}boundary.json",
        log:
            f"{RESULTS}/logs/{folder}boundary.log",
        benchmark:
            f"{RESULTS}/benchmarks/{folder}boundary.tsv"
        conda:
            ENVIRONMENT
        threads: TRAINING_CORES
        resources:
            gpu=GPU,
            device=config["device"],
        params:
            backbone=settings["backbone"],
            settings=settings["irnet"]["training"],
            seed=settings["seed"],
        message:
            f"training IRNet's boundary branch on {len(DATA.train)} images (progress: {{log}})"
        script:
            f"{SCRIPTS}/train_boundary.py"


for folder, experiment in OWNERS["irnet_affinity"].items():
    settings = EXPERIMENTS[experiment]
    for batch, ids in BATCHES["label"].items():

        rule:
            name:
                named("irnet_affinity", folder, batch)
            input:
                images=paths(ids),
                model=one_file("boundary", FOLDERS["boundary"][experiment]),
            output:
                affinities=per_image("irnet_affinity", folder, ids),
                seconds=f"{RESULTS}/seconds/irnet_affinity/{folder}{batch}.csv",
            log:
                f"{RESULTS}/logs/irnet_affinity/{folder}{batch}.log",
            benchmark:
                f"{RESULTS}/benchmarks/irnet_affinity/{folder}{batch}.tsv"
            conda:
                ENVIRONMENT
            resources:
                gpu=GPU,
                device=config["device"],
            params:
                ids=ids,
                backbone=settings["backbone"],
            message:
                f"boundary maps and node features of {len(ids)} images ({folder}{batch})"
            script:
                f"{SCRIPTS}/make_boundaries.py"
