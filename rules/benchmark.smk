# The GCN core beside the plain dense algorithm: `snakemake --cores 2 bench`. No other target asks for it.

BENCHED = evenly_spaced([i for i, image in DATA.label.items() if image.classes], 4)
BENCHED_BY = benchmarked_experiment(PLAN, BASE)
BENCHED_CLASSES = PLAN.tags(BENCHED)  # which networks have outputs of
if config["refine"]["outputs"] == "all":
    BENCHED_CLASSES = [list(range(1, len(CLASSES) + 1)) for _ in BENCHED]
BENCH_CORES = CLUSTER.demand("benchmark").cpus if CLUSTER.is_remote else ALL_CORES


rule benchmark_core:
    input:
        images=PLAN.paths(BENCHED),
        affinities=PLAN.files(BENCHED_BY, "irnet_affinity", BENCHED),
        labels=PLAN.files(BENCHED_BY, "partial", BENCHED),
    output:
        table=f"{RESULTS}/benchmark/core.csv",
        figure=f"{RESULTS}/benchmark/core.png",
        summary=f"{RESULTS}/benchmark/core.txt",
    log:
        f"{RESULTS}/logs/benchmark_core.log",
    conda:
        ENVIRONMENT
    threads: BENCH_CORES
    resources:
        **CLUSTER.job_resources("benchmark", len(BENCHED), BENCH_CORES),
    params:
        **select_params(config, {"graph": "graph", "settings": "refine", "grid_image": "grid_image"}),
        ids=BENCHED,
        classes=BENCHED_CLASSES,
        nodes=94 * 125,  # the grid of an image of 375×500
        sizes=[1000, 3000, 6000, 12000, 25000, 50000],
    message:
        "timing the GCN core (some ten minutes; progress: {log})"
    script:
        f"{SCRIPTS}/benchmark_core.py"


rule benchmark_kinds:
    input:
        images=PLAN.paths(BENCHED),
        affinities=PLAN.files(BENCHED_BY, "irnet_affinity", BENCHED),
        labels=PLAN.files(BENCHED_BY, "partial", BENCHED),
    output:
        table=f"{RESULTS}/benchmark/kinds.csv",
        summary=f"{RESULTS}/benchmark/kinds.txt",
    log:
        f"{RESULTS}/logs/benchmark_kinds.log",
    conda:
        ENVIRONMENT
    threads: BENCH_CORES  # so that nothing else runs while seconds are measured
    resources:
        **CLUSTER.job_resources("benchmark", len(BENCHED), BENCH_CORES),
    params:
        **select_params(config, {"graph": "graph", "settings": "refine", "grid_image": "grid_image"}),
        ids=BENCHED,
        classes=BENCHED_CLASSES,
        nodes=94 * 125,
        sizes=[3000, 94 * 125, 47000],
    message:
        "timing the GCN core on kinds of boundary (some ten minutes; progress: {log})"
    script:
        f"{SCRIPTS}/benchmark_kinds.py"


rule bench:
    input:
        store=STORE,
        table=f"{RESULTS}/benchmark/core.csv",
        figure=f"{RESULTS}/benchmark/core.png",
        summary=f"{RESULTS}/benchmark/core.txt",
        kinds=[f"{RESULTS}/benchmark/kinds.csv", f"{RESULTS}/benchmark/kinds.txt"],
    output:
        run=f"{RESULTS}/mlflow/benchmark.json",
    log:
        f"{RESULTS}/logs/track_benchmark.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        uri=TRACKING_URI,
        settings={
            "graph": {k: v for k, v in config["graph"].items() if k != "steps"},
            "refine": told_settings(config, "refine"),
            **select_params(config, {"grid_image": "grid_image"}),
        },
        description=f"the GCN core beside the dense algorithm, on images of {config['dataset']['name']}",
    message:
        "logging the benchmark to MLflow"
    script:
        f"{SCRIPTS}/track_benchmark.py"
