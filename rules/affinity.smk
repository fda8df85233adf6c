# IRNet: labels from CAMs, the boundary branch trained on them, boundary maps and node features.

for batch, ids in batches_of(DATA.train).items():

    rule:
        name:
            f"irnet_label_{batch}"
        input:
            images=paths(ids),
            cams=per_image("cam/{image}.npz", ids),
        output:
            labels=per_image("irnet/labels/{image}.png", ids),
            seconds=f"{RESULTS}/seconds/irnet_label/{batch}.csv",
        log:
            f"{RESULTS}/logs/irnet_label/{batch}.log",
        benchmark:
            f"{RESULTS}/benchmarks/irnet_label/{batch}.tsv"
        conda:
            ENVIRONMENT
        params:
            ids=ids,
            settings=config["irnet"]["labels"],
        message:
            f"IRNet labels of {len(ids)} images ({batch})"
        script:
            f"{SCRIPTS}/label_irnet.py"


rule boundary:
    input:
        images=paths(DATA.train),
        labels=per_image("irnet/labels/{image}.png", DATA.train),
        weights=weights_file(config["backbone"]),
    output:
        model=f"{RESULTS}/irnet/boundary.pt",
        history=f"{RESULTS}/irnet/history.csv",
    log:
        f"{RESULTS}/logs/boundary.log",
    benchmark:
        f"{RESULTS}/benchmarks/boundary.tsv"
    conda:
        ENVIRONMENT
    threads: ALL_CORES
    resources:
        gpu=GPU,
        device=config["device"],
    params:
        backbone=config["backbone"],
        settings=config["irnet"]["training"],
        seed=config["seed"],
    message:
        f"training IRNet's boundary branch on {len(DATA.train)} images (progress: {{log}})"
    script:
        f"{SCRIPTS}/train_boundary.py"


for batch, ids in batches_of(DATA.label).items():

    rule:
        name:
            f"affinity_{batch}"
        input:
            images=paths(ids),
            model=rules.boundary.output.model,
        output:
            affinities=per_image("affinity/irnet/{image}.npz", ids),
            seconds=f"{RESULTS}/seconds/affinity/{batch}.csv",
        log:
            f"{RESULTS}/logs/affinity/{batch}.log",
        benchmark:
            f"{RESULTS}/benchmarks/affinity/{batch}.tsv"
        conda:
            ENVIRONMENT
        resources:
            gpu=GPU,
            device=config["device"],
        params:
            ids=ids,
            backbone=config["backbone"],
        message:
            f"boundary maps and node features of {len(ids)} images ({batch})"
        script:
            f"{SCRIPTS}/make_affinities.py"
