# Labels of the base in the formats of annotation tools and trainings, and corrected ones back from them.

for exported, row in EXPORTERS.items():
    if exported in config["export"] and PLAN.states(f"export_{exported}"):

        rule:
            name:
                f"export_{exported}"
            input:
                labels=PLAN.files(BASE, "pseudo", DATA.label),
                confidences=PLAN.files(BASE, "confidence", DATA.label),
            output:
                files=[f"{EXPORTS}/{name}" for name in row.files],
                unchanged=f"{EXPORTS}/unchanged/{exported}.json",
            log:
                f"{RESULTS}/logs/export_{exported}.log",
            benchmark:
                f"{RESULTS}/benchmarks/export_{exported}.tsv"
            localrule: True
            conda:
                ENVIRONMENT
            resources:
                method=row.write,
                reader=row.read,
            params:
                ids=list(DATA.label),
                files=exported_files(ORIGINALS, data_root(config["dataset"], RESULTS), DATA.label),
                classes=CLASSES,
                params=select_params(config, row.params),
            message:
                f"labels for {row.title}"
            script:
                f"{SCRIPTS}/export_labels.py"


if config["export"]:

    rule export:
        input:
            [f"{EXPORTS}/{name}" for exported in config["export"] for name in EXPORTERS[exported].files],
        localrule: True
        message:
            "the labels are exported"


if config["exchange"]["returned"] and PLAN.states("import_corrections"):

    rule import_corrections:  # without a file of its own, so that it always runs when it is asked for
        input:
            config["exchange"]["returned"],
        log:
            IMPORT_LOG,
        localrule: True
        conda:
            ENVIRONMENT
        params:
            source=config["exchange"]["returned"],
            ids=[image for image in ORIGINALS.images if image in DATA.train | DATA.label],
            tagged=PLAN.tagged(ORIGINALS.images),
            paths={image: own.path for image, own in ORIGINALS.images.items()},
            sizes=f"{RESULTS}/data/sizes.json",
            classes=CLASSES,
            folder=corrections_folder(config["dataset"], RESULTS),
            exports=f"{RESULTS}/export",
            keep_unchanged=config["exchange"]["keep_unchanged"],
            overwrite=config["exchange"]["overwrite"],
        message:
            f"corrections from {config['exchange']['returned']}"
        script:
            f"{SCRIPTS}/import_corrections.py"
