# The trained network of the base on any folder of images, `snakemake --config predict=folder -- predict`, and as ONNX.

if FOLDER:
    UNLISTED, COPIED, UNLISTED_DEEP = plan_folder(PLAN, FOLDER, config["dataset"]["longest_side"])

    for job in UNLISTED.data_jobs("copy_unlisted", COPIED, f"{FOLDER.name}/"):

        rule:
            name:
                job.name
            input:
                [COPIED[image] for image in job.ids],
            output:
                UNLISTED.paths(job.ids),
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
                **({"black_white": BLACK_WHITE} if BLACK_WHITE and not UNLISTED_DEEP.isdisjoint(job.ids) else {}),
                longest=config["dataset"]["longest_side"],
            message:
                f"copies of {job.images}"
            script:
                f"{SCRIPTS}/shrink_images.py"

    for job in UNLISTED.data_jobs("predict_folder", UNLISTED.data.evaluate, f"{FOLDER.name}/"):

        rule:
            name:
                job.name
            input:
                images=UNLISTED.paths(job.ids),
                model=job.file("segmentation"),
            output:
                labels=[f"{FOLDER.labels}/{image}.png" for image in job.ids],
                confidence=[f"{FOLDER.labels}/confidence/{image}.png" for image in job.ids],
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
                f"segmenting {job.images}"
            script:
                f"{SCRIPTS}/predict_folder.py"

    if PLAN.states("predict"):

        rule predict:
            input:
                [f"{FOLDER.labels}/{image}.png" for image in UNLISTED.data.evaluate],
                [f"{FOLDER.labels}/confidence/{image}.png" for image in UNLISTED.data.evaluate],
            localrule: True
            message:
                f"the labels are complete: {FOLDER.labels}"


if "onnx" in REQUEST.words and not segmentation_row(EXPERIMENTS[BASE]).network:
    raise WorkflowError(
        f"config: segmentation_network: {EXPERIMENTS[BASE]['segmentation_network']} names no network to export"
    )

for job in PLAN.experiment_jobs("export_onnx", [BASE]):

    rule:
        name:
            job.name
        input:
            model=job.file("segmentation"),
        output:
            f"{job.file('segmentation').removesuffix('.pt')}.onnx",
        log:
            job.log,
        localrule: True
        conda:
            ENVIRONMENT
        params:
            **onnx_params(job),
        message:
            "exporting the network to ONNX"
        script:
            f"{SCRIPTS}/export_onnx.py"

    rule onnx:
        input:
            f"{job.file('segmentation').removesuffix('.pt')}.onnx",
        localrule: True
        message:
            "the network is exported"
