# AffinityNet (PSA): labels from CAMs, the network trained on them, its features, which are those of the nodes too.

for folder, experiment in OWNERS["psa_label"].items():
    settings = EXPERIMENTS[experiment]
    for batch, ids in BATCHES["train"].items():

        rule:
            name:
                named("psa_label", folder, batch)
            input:
                images=paths(ids),
                cams=of(experiment, "cam", ids),
            output:
                labels=per_image("psa_label", folder, ids),
                seconds=f"{RESULTS}/seconds/psa_label/{folder}{batch}.csv",
            log:
                f"{RESULTS}/logs/psa_label/{folder}{batch}.log",
            benchmark:
                f"{RESULTS}/benchmarks/psa_label/{folder}{batch}.tsv"
            conda:
                ENVIRONMENT
            params:
                ids=ids,
                settings=settings["psa"]["labels"],
            message:
                f"AffinityNet labels of {len(ids)} images ({folder}{batch})"
            script:
                f"{SCRIPTS}/label_psa.py"


for folder, experiment in OWNERS["affinitynet"].items():
    settings = EXPERIMENTS[experiment]

    rule:
        name:
            named("affinitynet", folder)
        input:
            images=paths(DATA.train),
            labels=of(experiment, "psa_label", DATA.train),
            weights=weights_file(settings["backbone"]),
        output:
            model=one_file("affinitynet", folder),
            history=one_file("affinitynet_history", folder),
            seconds=f"{RESULTS}/seconds/{folder}affinitynet.json",
        log:
            f"{RESULTS}/logs/{folder}affinitynet.log",
        benchmark:
            f"{RESULTS}/benchmarks/{folder}affinitynet.tsv"
        conda:
            ENVIRONMENT
        threads: TRAINING_CORES
        resources:
            gpu=GPU,
            device=config["device"],
        params:
            backbone=settings["backbone"],
            settings=settings["psa"]["training"],
            seed=settings["seed"],
        message:
            f"training AffinityNet on {len(DATA.train)} images (progress: {{log}})"
        script:
            f"{SCRIPTS}/train_affinitynet.py"


for folder, experiment in OWNERS["psa_affinity"].items():
    settings = EXPERIMENTS[experiment]
    for batch, ids in BATCHES["label"].items():

        rule:
            name:
                named("psa_affinity", folder, batch)
            input:
                images=paths(ids),
                model=one_file("affinitynet", FOLDERS["affinitynet"][experiment]),
            output:
                affinities=per_image("psa_affinity", folder, ids),
                seconds=f"{RESULTS}/seconds/psa_affinity/{folder}{batch}.csv",
            log:
                f"{RESULTS}/logs/psa_affinity/{folder}{batch}.log",
            benchmark:
                f"{RESULTS}/benchmarks/psa_affinity/{folder}{batch}.tsv"
            conda:
                ENVIRONMENT
            resources:
                gpu=GPU,
                device=config["device"],
            params:
                ids=ids,
                backbone=settings["backbone"],
            message:
                f"AffinityNet features of {len(ids)} images ({folder}{batch})"
            script:
                f"{SCRIPTS}/make_features.py"
