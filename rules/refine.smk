# Refined scores: a graph convolutional network an image, or what it replaces.

for folder, experiment in OWNERS["refined"].items():
    settings = EXPERIMENTS[experiment]
    if settings["refinement"] != "gcn":
        continue
    for batch, ids in BATCHES["label"].items():

        rule:
            name:
                named("refine", folder, batch)
            input:
                images=paths(ids),
                affinities=of(experiment, f"{settings['affinity']}_affinity", ids),
                labels=of(experiment, "partial", ids),
            output:
                refined=per_image("refined", folder, ids),
                seconds=f"{RESULTS}/seconds/refined/{folder}{batch}.csv",
            log:
                f"{RESULTS}/logs/refined/{folder}{batch}.log",
            benchmark:
                f"{RESULTS}/benchmarks/refined/{folder}{batch}.tsv"
            conda:
                ENVIRONMENT
            resources:
                gpu=GPU,
                device=config["device"],
                device_batch=config["device_batch"],
            params:
                ids=ids,
                classes=classes(ids),
                graph=settings["graph"],
                settings=settings["refine"],
                seed=settings["seed"],
            message:
                f"GCN refinement of {len(ids)} images ({folder}{batch})"
            script:
                f"{SCRIPTS}/refine_labels.py"


for folder, experiment in OWNERS["refined"].items():
    settings = EXPERIMENTS[experiment]
    if settings["refinement"] != "random_walk":
        continue
    for batch, ids in BATCHES["label"].items():

        rule:
            name:
                named("random_walk", folder, batch)
            input:
                cams=of(experiment, "cam", ids),
                affinities=of(experiment, f"{settings['affinity']}_affinity", ids),
            output:
                refined=per_image("refined", folder, ids),
                seconds=f"{RESULTS}/seconds/refined/{folder}{batch}.csv",
            log:
                f"{RESULTS}/logs/refined/{folder}{batch}.log",
            benchmark:
                f"{RESULTS}/benchmarks/refined/{folder}{batch}.tsv"
            conda:
                ENVIRONMENT
            params:
                ids=ids,
                radius=settings["graph"]["radius"],
                beta=settings["graph"]["beta"],
                settings=settings["random_walk"],
            message:
                f"random walks of {len(ids)} images ({folder}{batch})"
            script:
                f"{SCRIPTS}/walk_cams.py"


for folder, experiment in OWNERS["refined"].items():
    settings = EXPERIMENTS[experiment]
    if settings["refinement"] != "none":
        continue
    for batch, ids in BATCHES["label"].items():

        rule:
            name:
                named("score_cams", folder, batch)
            input:
                cams=of(experiment, "cam", ids),
            output:
                refined=per_image("refined", folder, ids),
                seconds=f"{RESULTS}/seconds/refined/{folder}{batch}.csv",
            log:
                f"{RESULTS}/logs/refined/{folder}{batch}.log",
            benchmark:
                f"{RESULTS}/benchmarks/refined/{folder}{batch}.tsv"
            conda:
                ENVIRONMENT
            params:
                ids=ids,
                background_score=settings["background_score"],
            message:
                f"scores of the CAMs of {len(ids)} images ({folder}{batch})"
            script:
                f"{SCRIPTS}/score_cams.py"
