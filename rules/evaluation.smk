# Every stage's labels against the truth. What a metric's name does not say, its protocol does.

SPLITS = {name: split_name(config["dataset"][name]) for name in ("label", "evaluate")}  # as metrics carry them

for job in PLAN.batch_jobs(BASELINE) if PLAN.is_evaluated(BASELINE) else ():

    rule:
        name:
            job.name
        input:
            images=PLAN.paths(job.ids),
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
        params:
            **PLAN.full_sizes(job.ids),
            ids=job.ids,
            tags=PLAN.tags(job.ids),
        message:
            f"labels without learning of {job.images}"
        script:
            f"{SCRIPTS}/label_no_learning.py"


for evaluated, row in EVALUATIONS.items():
    for job in PLAN.evaluation_jobs(evaluated):

        rule:
            name:
                job.name
            input:
                images=PLAN.paths(job.ids),
                labels=job.files(row.files),
                masks=PLAN.masks(job.ids),
                seconds=PLAN.timing_files(job.experiment, evaluated),
            output:
                result=f"{RESULTS}/evaluation/{job.folder}{evaluated}.json",
                counts=f"{RESULTS}/evaluation/{job.folder}{evaluated}.npz",
                picture=report(
                    f"{RESULTS}/evaluation/{job.folder}{evaluated}.png",
                    caption="report/overlays.rst",
                    category="Labels",
                    subcategory=evaluated,
                    labels={"experiment": job.experiment},
                ),
            log:
                job.log,
            benchmark:
                job.benchmark
            localrule: True
            conda:
                ENVIRONMENT
            params:
                **(PLAN.known_negatives(job.ids) if row.stage in ("partial", "predict") else {}),
                stage=evaluated,
                split=SPLITS[row.images],
                protocol=protocol_of(evaluated, job.settings, len(PLAN.corrections_in(job.experiment, job.ids))),
                ids=job.ids,
                masks=[DATA.images[image].mask for image in job.ids],
                mask_values=list(DATA.mask_values),
                classes=CLASSES,
                background_score=row.background(job.settings),
                pictures=evenly_spaced(job.ids, min(9, config["report"]["images"])),
            message:
                f"{'evaluating' if PLAN.masks(job.ids) else 'describing'} {evaluated} on {len(job.ids)} images ({job.experiment})"
            script:
                f"{SCRIPTS}/evaluate_stage.py"
