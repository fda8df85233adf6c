# Affinity networks: labels from CAMs, a network trained on them, what it says of each image.

for affinity, row in AFFINITIES.items():

    for job in PLAN.batch_jobs(f"{affinity}_label"):

        rule:
            name:
                job.name
            input:
                images=PLAN.paths(job.ids),
                cams=job.files("cam"),
            output:
                labels=job.files(),
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
                method=row.label,
            params:
                **label_params(job, affinity),
            message:
                f"{row.title} labels of {job.images}"
            script:
                f"{SCRIPTS}/label_affinity.py"

    for job in PLAN.training_jobs(row.network):

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
                f"training {training_row(job).title} on {len(job.ids)} images (progress: {{log}})"
            script:
                f"{SCRIPTS}/train_network.py"

    for job in PLAN.batch_jobs(f"{affinity}_affinity"):

        rule:
            name:
                job.name
            input:
                images=PLAN.paths(job.ids),
                model=job.file(row.network),
            output:
                affinities=job.files(),
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
                method=row.open,
            params:
                **infer_params(job, affinity),
            message:
                f"{row.title} affinities of {job.images}"
            script:
                f"{SCRIPTS}/infer_affinity.py"
