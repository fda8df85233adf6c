# A segmentation network on the pseudo labels, and its predictions.

for job in PLAN.training_jobs("segmentation"):

    rule:
        name:
            job.name
        input:
            **training_inputs(job),
        output:
            model=job.file(),
            history=job.history,
            seconds=job.seconds,
        log:
            job.log,
        benchmark:
            job.benchmark
        conda:
            ENVIRONMENT
        threads: TRAINING_CORES
        resources:
            **training_resources(job),
            **NETWORK,
            method=training_row(job).train,
        params:
            **training_params(job),
        message:
            f"training {training_row(job).title} on {len(job.ids)} pseudo labels of {job.experiment} (progress: {{log}})"
        script:
            f"{SCRIPTS}/train_network.py"


for job in PLAN.batch_jobs("predict"):

    rule:
        name:
            job.name
        input:
            images=PLAN.paths(job.ids),
            model=job.file("segmentation"),
        output:
            single=job.files("single"),
            multi=job.files("multi"),
            crf=job.files("multi_crf"),
            seconds=job.seconds,
        log:
            job.log,
        benchmark:
            job.benchmark
        group:
            job_group(job, network=True)
        conda:
            ENVIRONMENT
        resources:
            **CLUSTER.batch_resources(job, network=True),
            **NETWORK,
            **CRF,
            method=segmentation_row(job.settings).open,
        params:
            **predict_params(job),
        message:
            f"predicting {job.images}"
        script:
            f"{SCRIPTS}/predict_images.py"
