# Labels of corrected images. Each image is a job of its own, so that a correction reruns nobody else's label; what it
# starts from is what the batches have computed without it.

for job in PLAN.correction_jobs():

    rule:
        name:
            job.name
        input:
            **correction_inputs(job),
        output:
            labels=job.files(),
            confidences=job.files("confidence"),
            before=job.files("before"),
            seconds=job.seconds,
        log:
            job.log,
        benchmark:
            job.benchmark
        group:
            job_group(job, network=refiner_row(job.settings).device)
        conda:
            ENVIRONMENT
        resources:
            **CLUSTER.batch_resources(job, network=refiner_row(job.settings).device),
            **(NETWORK if refiner_row(job.settings).device else {}),
            **CRF,
            method=refiner_row(job.settings).refine,
        params:
            **correction_params(job),
        message:
            f"corrected label of {job.ids[0]}"
        script:
            f"{SCRIPTS}/correct_labels.py"
