# AffinityNet (PSA): labels from CAMs, the network trained on them, its features, which are those of the nodes too.

for batch, ids in batches_of(DATA.train).items():

    rule:
        name:
            f"psa_label_{batch}"
        input:
            images=paths(ids),
            cams=source("psa_label", "cam", ids),
        output:
            labels=per_image(FILES["psa_label"], ids),
            seconds=f"{RESULTS}/seconds/psa_label/{{variant}}{batch}.csv",
        log:
            f"{RESULTS}/logs/psa_label/{{variant}}{batch}.log",
        benchmark:
            f"{RESULTS}/benchmarks/psa_label/{{variant}}{batch}.tsv"
        wildcard_constraints:
            variant=variants("psa_label"),
        conda:
            ENVIRONMENT
        params:
            ids=ids,
            settings=setting("psa_label", "psa", "labels"),
        message:
            f"AffinityNet labels of {len(ids)} images ({{wildcards.variant}}{batch})"
        script:
            f"{SCRIPTS}/label_psa.py"


rule affinitynet:
    input:
        images=paths(DATA.train),
        labels=source("affinitynet", "psa_label", DATA.train),
        weights=weights_file("affinitynet", "backbone"),
    output:
        model=f"{RESULTS}/{FILES['affinitynet']}",
        history=f"{RESULTS}/psa/{{variant}}history.csv",
    log:
        f"{RESULTS}/logs/{{variant}}affinitynet.log",
    benchmark:
        f"{RESULTS}/benchmarks/{{variant}}affinitynet.tsv"
    wildcard_constraints:
        variant=variants("affinitynet"),
    conda:
        ENVIRONMENT
    threads: ALL_CORES
    resources:
        gpu=GPU,
        device=config["device"],
    params:
        backbone=setting("affinitynet", "backbone"),
        settings=setting("affinitynet", "psa", "training"),
        seed=setting("affinitynet", "seed"),
    message:
        f"training AffinityNet on {len(DATA.train)} images (progress: {{log}})"
    script:
        f"{SCRIPTS}/train_affinitynet.py"


for batch, ids in batches_of(DATA.label).items():

    rule:
        name:
            f"psa_affinity_{batch}"
        input:
            images=paths(ids),
            model=source("psa_affinity", "affinitynet"),
        output:
            affinities=per_image(FILES["psa_affinity"], ids),
            seconds=f"{RESULTS}/seconds/psa_affinity/{{variant}}{batch}.csv",
        log:
            f"{RESULTS}/logs/psa_affinity/{{variant}}{batch}.log",
        benchmark:
            f"{RESULTS}/benchmarks/psa_affinity/{{variant}}{batch}.tsv"
        wildcard_constraints:
            variant=variants("psa_affinity"),
        conda:
            ENVIRONMENT
        resources:
            gpu=GPU,
            device=config["device"],
        params:
            ids=ids,
            backbone=setting("psa_affinity", "backbone"),
        message:
            f"AffinityNet features of {len(ids)} images ({{wildcards.variant}}{batch})"
        script:
            f"{SCRIPTS}/make_features.py"
