# Which labels to look at first, without the truth: `snakemake --cores 2 review`.

for job in PLAN.measuring_jobs():

    rule:
        name:
            job.name
        input:
            **compared_inputs(job),
            confidences=job.files("confidence"),
        output:
            measures=job.files(),
            pictures=job.files("thumbnails"),
            seconds=job.seconds,
        log:
            job.log,
        benchmark:
            job.benchmark
        group:
            job_group(job)
        conda:
            ENVIRONMENT
        resources:
            **CLUSTER.batch_resources(job),
        params:
            ids=job.ids,
            tags=PLAN.tags(job.ids),
            walk=walk_params(job),
        message:
            f"measuring the labels of {job.images}"
        script:
            f"{SCRIPTS}/measure_labels.py"


CORRECTED = PLAN.corrected(DATA.label)
MASKED = [image for image in DATA.label if DATA.label[image].mask]

for job in PLAN.review_jobs("review_queue"):

    rule:
        name:
            job.name
        input:
            measures=job.files(),
            pictures=job.files("thumbnails"),
            counts=PLAN.evaluations(job.experiment, "npz", ["refined_crf"]),
            corrected=PLAN.files(job.experiment, "before", CORRECTED),
        output:
            **({"auroc": f"{RESULTS}/review/{job.folder}auroc.csv"} if MASKED else {}),
            queue=f"{RESULTS}/review/{job.folder}queue.csv",
            page=f"{RESULTS}/review/{job.folder}review.html",
            text=f"{RESULTS}/review/{job.folder}review.txt",
        log:
            job.log,
        localrule: True
        conda:
            ENVIRONMENT
        params:
            **({"corrected": len(PLAN.tagged(CORRECTED))} if PLAN.tagged(CORRECTED) else {}),
            title=f"{job.experiment} on {config['dataset']['name']}",
            ids=job.ids,
            tags=PLAN.tags(job.ids),
            masked=MASKED,
            untagged=len(DATA.label) - len(PLAN.tagged(DATA.label)),
            classes=CLASSES,
            method=REFINERS[job.settings["refinement"]].title,
            settings=config["review"],
            places={
                "labels": f"{RESULTS}/pseudo/{job.folder}",
                "confidence": f"{RESULTS}/confidence/{job.folder}",
                "queue": f"{RESULTS}/review/{job.folder}queue.csv",
                "page": f"{RESULTS}/review/{job.folder}review.html",
            },
        message:
            f"writing the review queue of {len(job.ids)} labels ({job.experiment})"
        script:
            f"{SCRIPTS}/write_review.py"


for job in PLAN.review_jobs("review_run"):

    rule:
        name:
            job.name
        input:
            **({"auroc": f"{RESULTS}/review/{job.folder}auroc.csv"} if MASKED else {}),
            store=STORE,
            queue=f"{RESULTS}/review/{job.folder}queue.csv",
            text=f"{RESULTS}/review/{job.folder}review.txt",
        output:
            run=f"{RESULTS}/mlflow/{job.folder}review.json",
        log:
            job.log,
        localrule: True
        conda:
            ENVIRONMENT
        params:
            experiment=job.experiment,
            split=SPLITS["label"],
            uri=TRACKING_URI,
            settings=config["review"],
            description=f"review of the labels of {job.experiment} on {config['dataset']['name']}",
        message:
            f"logging the review to MLflow ({job.experiment})"
        script:
            f"{SCRIPTS}/track_review.py"


if PLAN.reviewed and PLAN.states("review"):

    rule review:
        input:
            f"{RESULTS}/review/{PLAN.folders['pseudo'][BASE]}review.html",
            f"{RESULTS}/mlflow/{PLAN.folders['pseudo'][BASE]}review.json",
        localrule: True
        message:
            "the review queue is complete"
