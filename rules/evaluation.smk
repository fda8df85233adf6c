# Every stage's labels against the truth. What a metric's name does not say, its protocol does.

for stage, what in EVALUATED.items():
    images = what["images"]

    rule:
        name:
            f"evaluate_{stage}"
        input:
            images=paths(images),
            labels=source(what["by"], what["reads"], images),
            masks=masks(images),
            seconds=timed_files(what),
        output:
            result=f"{RESULTS}/evaluation/{{variant}}{stage}.json",
            counts=f"{RESULTS}/evaluation/{{variant}}{stage}.npz",
            picture=report(
                f"{RESULTS}/evaluation/{{variant}}{stage}.png",
                caption="report/gallery.rst",
                category="Labels",
                subcategory=stage,
                labels=partial(labels_of, what["by"], stage),
            ),
        log:
            f"{RESULTS}/logs/evaluate/{{variant}}{stage}.log",
        benchmark:
            f"{RESULTS}/benchmarks/evaluate/{{variant}}{stage}.tsv"
        wildcard_constraints:
            variant=variants(what["by"]),
        conda:
            ENVIRONMENT
        params:
            stage=stage,
            split=split_of(images),
            protocol=with_settings(what["by"], what["protocol"]),
            ids=list(images),
            masks=[DATA.images[image].mask for image in images],
            mask_values=list(DATA.mask_values),
            classes=CLASSES,
            background_score=setting(what["by"], "background_score") if stage == "cam" else None,
            pictures=spread(images, min(9, config["report"]["images"])),
        message:
            f"evaluating {stage} on {len(images)} images ({{wildcards.variant}})"
        script:
            f"{SCRIPTS}/evaluate.py"
