# The demo's drawing, copies of images that are too large or hold 16 bits, and masks that are painted from annotations.
# The images of a user are checked before anything runs (see onstart in the Snakefile).

if READER.drawn:

    for job in PLAN.data_jobs("demo", DATA.images):

        rule:
            name:
                job.name
            output:
                images=PLAN.paths(job.ids),
                masks=PLAN.masks(job.ids),
                annotations=[f"{RESULTS}/voc/Annotations/{image}.xml" for image in job.ids],
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
                classes=PLAN.tags(job.ids),
                size=config["dataset"]["demo_size"],
                seed=config["seed"],
            message:
                f"drawing {job.images}"
            script:
                f"{SCRIPTS}/draw_demo.py"


for job in PLAN.data_jobs("shrink", [*LARGE, *(image for image in DEEP if image not in LARGE)]):

    rule:
        name:
            job.name
        input:
            [ORIGINALS.images[image].path for image in job.ids],
        output:
            PLAN.paths(job.ids),
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
            **({"black_white": BLACK_WHITE} if BLACK_WHITE and not set(DEEP).isdisjoint(job.ids) else {}),
            longest=config["dataset"]["longest_side"],
        message:
            f"copies of {job.images}"
        script:
            f"{SCRIPTS}/shrink_images.py"


for job in PLAN.data_jobs("paint", [] if PLAN.labels_only else PLAN.painted):

    rule:
        name:
            job.name
        output:
            PLAN.masks(job.ids),
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
            method=READER.paint,
        params:
            **PLAN.painting(job.ids),
        message:
            f"masks of {job.images}"
        script:
            f"{SCRIPTS}/paint_masks.py"
