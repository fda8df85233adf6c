# Refined scores: a graph convolutional network an image, or the random walk that it replaces.


for batch, ids in batches_of(DATA.label).items():

    rule:
        name:
            f"refine_{batch}"
        input:
            images=paths(ids),
            affinities=affinities(ids),
            labels=source("refined", "partial", ids),
        output:
            refined=per_image(FILES["refined"], ids),
            seconds=f"{RESULTS}/seconds/refined/{{variant}}{batch}.csv",
        log:
            f"{RESULTS}/logs/refined/{{variant}}{batch}.log",
        benchmark:
            f"{RESULTS}/benchmarks/refined/{{variant}}{batch}.tsv"
        wildcard_constraints:
            variant=variants("refined", lambda settings: settings["refinement"] == "gcn"),
        conda:
            ENVIRONMENT
        resources:
            gpu=GPU,
            device=config["device"],
            device_batch=config["device_batch"],
        params:
            ids=ids,
            classes=classes(ids),
            affinity=setting("refined", "affinity"),
            graph=setting("refined", "graph"),
            settings=setting("refined", "refine"),
            seed=setting("refined", "seed"),
        message:
            f"GCN refinement of {len(ids)} images ({{wildcards.variant}}{batch})"
        script:
            f"{SCRIPTS}/refine_labels.py"

    rule:
        name:
            f"random_walk_{batch}"
        input:
            cams=source("refined", "cam", ids),
            affinities=affinities(ids),
        output:
            refined=per_image(FILES["refined"], ids),
            seconds=f"{RESULTS}/seconds/refined/{{variant}}{batch}.csv",
        log:
            f"{RESULTS}/logs/refined/{{variant}}{batch}.log",
        benchmark:
            f"{RESULTS}/benchmarks/refined/{{variant}}{batch}.tsv"
        wildcard_constraints:
            variant=variants("refined", lambda settings: settings["refinement"] == "random_walk"),
        conda:
            ENVIRONMENT
        params:
            ids=ids,
            affinity=setting("refined", "affinity"),
            radius=setting("refined", "graph", "radius"),
            beta=setting("refined", "graph", "beta"),
            settings=setting("refined", "random_walk"),
        message:
            f"random walks of {len(ids)} images ({{wildcards.variant}}{batch})"
        script:
            f"{SCRIPTS}/walk_cams.py"
