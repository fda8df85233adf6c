# Refined scores: a graph convolutional network per image, or another refiner of the registry.

for job in PLAN.batch_jobs("refined", rule=lambda settings: refiner_row(settings).rule):

    rule:
        name:
            job.name
        input:
            **refiner_inputs(job),
        output:
            refined=job.files(),
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
            **(NETWORK | {"device_batch": config["device_batch"]} if refiner_row(job.settings).device else {}),
            method=refiner_row(job.settings).refine,
        params:
            **refiner_params(job),
        message:
            f"{refiner_row(job.settings).title} scores of {job.images}"
        script:
            f"{SCRIPTS}/refine_images.py"
