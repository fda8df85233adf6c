# Class activation maps: a classifier and its maps, or another source of the registry.

for job in PLAN.batch_jobs("features"):

    rule:
        name:
            job.name
        input:
            images=PLAN.paths(job.ids),
            weights=weights_file(job.settings, "backbone"),
        output:
            features=job.files(),
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
            method=features_row(job).open,
        params:
            **features_params(job),
        message:
            f"{features_row(job).title} of {job.images}"
        script:
            f"{SCRIPTS}/extract_features.py"


for job in PLAN.training_jobs("classifier"):

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


for job in PLAN.batch_jobs("cam", rule=lambda settings: cam_row(settings).rule):

    rule:
        name:
            job.name
        input:
            **cam_inputs(job),
        output:
            cams=job.files(),
            seconds=job.seconds,
        log:
            job.log,
        benchmark:
            job.benchmark
        group:
            job_group(job, network=cam_row(job.settings).device)
        conda:
            ENVIRONMENT
        resources:
            **CLUSTER.batch_resources(job, network=cam_row(job.settings).device),
            **(NETWORK if cam_row(job.settings).device else {}),
            method=cam_row(job.settings).open,
        params:
            **cam_params(job),
        message:
            f"{cam_row(job.settings).title} of {job.images}"
        script:
            f"{SCRIPTS}/make_cams.py"
