# Partial pseudo labels: what the CAMs are sure of.

for job in PLAN.batch_jobs("partial"):

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
        params:
            **select_params(job.settings, PARTIAL),
            ids=job.ids,
        message:
            f"partial labels of {job.images}"
        script:
            f"{SCRIPTS}/label_partial.py"
