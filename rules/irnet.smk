# IRNet: labels from CAMs, the boundary branch trained on them, boundary maps and node features.

for batch, ids in batches_of(DATA.train).items():

    rule:
        name:
            f"irnet_label_{batch}"
        input:
            images=paths(ids),
            cams=source("irnet_label", "cam", ids),
        output:
            labels=per_image(FILES["irnet_label"], ids),
            seconds=f"{RESULTS}/seconds/irnet_label/{{variant}}{batch}.csv",
        log:
            f"{RESULTS}/logs/irnet_label/{{variant}}{batch}.log",
        benchmark:
            f"{RESULTS}/benchmarks/irnet_label/{{variant}}{batch}.tsv"
        wildcard_constraints:
            variant=variants("irnet_label"),
        conda:
            ENVIRONMENT
        params:
            ids=ids,
            settings=setting("irnet_label", "irnet", "labels"),
        message:
            f"IRNet labels of {len(ids)} images ({{wildcards.variant}}{batch})"
        script:
            f"{SCRIPTS}/label_irnet.py"


rule boundary:
    input:
        images=paths(DATA.train),
        labels=source("boundary", "irnet_label", DATA.train),
        weights=weights_file("boundary", "backbone"),
    output:
        model=f"{RESULTS}/{FILES['boundary']}",
        history=f"{RESULTS}/irnet/{{variant}}history.csv",
    log:
        f"{RESULTS}/logs/{{variant}}boundary.log",
    benchmark:
        f"{RESULTS}/benchmarks/{{variant}}boundary.tsv"
    wildcard_constraints:
        variant=variants("boundary"),
    conda:
        ENVIRONMENT
    threads: ALL_CORES
    resources:
        gpu=GPU,
        device=config["device"],
    params:
        backbone=setting("boundary", "backbone"),
        settings=setting("boundary", "irnet", "training"),
        seed=setting("boundary", "seed"),
    message:
        f"training IRNet's boundary branch on {len(DATA.train)} images (progress: {{log}})"
    script:
        f"{SCRIPTS}/train_boundary.py"


for batch, ids in batches_of(DATA.label).items():

    rule:
        name:
            f"irnet_affinity_{batch}"
        input:
            images=paths(ids),
            model=source("irnet_affinity", "boundary"),
        output:
            affinities=per_image(FILES["irnet_affinity"], ids),
            seconds=f"{RESULTS}/seconds/irnet_affinity/{{variant}}{batch}.csv",
        log:
            f"{RESULTS}/logs/irnet_affinity/{{variant}}{batch}.log",
        benchmark:
            f"{RESULTS}/benchmarks/irnet_affinity/{{variant}}{batch}.tsv"
        wildcard_constraints:
            variant=variants("irnet_affinity"),
        conda:
            ENVIRONMENT
        resources:
            gpu=GPU,
            device=config["device"],
        params:
            ids=ids,
            backbone=setting("irnet_affinity", "backbone"),
        message:
            f"boundary maps and node features of {len(ids)} images ({{wildcards.variant}}{batch})"
        script:
            f"{SCRIPTS}/make_boundaries.py"
