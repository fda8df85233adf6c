# Complete pseudo labels and their confidence: the refined scores at full size through a dense CRF.

for job in PLAN.batch_jobs("pseudo"):

    rule:
        name:
            job.name
        input:
            images=PLAN.paths(job.ids),
            refined=job.files("refined"),
        output:
            labels=PLAN.files(job.experiment, "pseudo", PLAN.labelled_by_batches(job.experiment, job.ids)),
            confidences=PLAN.files(job.experiment, "confidence", PLAN.labelled_by_batches(job.experiment, job.ids)),
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
            **CRF,
        params:
            **PLAN.full_sizes(job.ids),
            **select_params(job.settings, PSEUDO),
            ids=job.ids,
        message:
            f"pseudo labels of {job.images}"
        script:
            f"{SCRIPTS}/label_pseudo.py"
