# A graph convolutional network an image.

for batch, ids in batches_of(DATA.label).items():

    rule:
        name:
            f"refine_{batch}"
        input:
            images=paths(ids),
            affinities=per_image("affinity/irnet/{image}.npz", ids),
            labels=per_image("partial/{image}.png", ids),
        output:
            refined=per_image(f"refined/{EXPERIMENT}/{{image}}.npz", ids),
            seconds=f"{RESULTS}/seconds/refine_{EXPERIMENT}/{batch}.csv",
        log:
            f"{RESULTS}/logs/refine/{EXPERIMENT}/{batch}.log",
        benchmark:
            f"{RESULTS}/benchmarks/refine/{EXPERIMENT}/{batch}.tsv"
        conda:
            ENVIRONMENT
        resources:
            gpu=GPU,
            device=config["device"],
            device_batch=config["device_batch"],
        params:
            ids=ids,
            classes=classes(ids),
            graph=config["graph"],
            settings=config["refine"],
            seed=config["seed"],
        message:
            f"GCN refinement of {len(ids)} images ({batch})"
        script:
            f"{SCRIPTS}/refine_labels.py"
