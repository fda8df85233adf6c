# Every stage's labels against the truth. What a metric's name does not say, its protocol does.

# What is evaluated: the stage by whose folder it goes, the one whose files are read, the list of images.
EVALUATED = {
    "cam": ("cam_label", "cam", "label"),
    "partial": ("partial", "partial", "label"),
    "refined": ("refined", "refined", "label"),
    "refined_crf": ("pseudo", "pseudo", "label"),
    "segmentation_single": ("predict", "single", "evaluate"),
    "segmentation_multi": ("predict", "multi", "evaluate"),
    "segmentation_multi_crf": ("predict", "multi_crf", "evaluate"),
}
TIMED = {"cam": ("cam", "cam"), "partial": ("partial", "label"), "refined": ("refined", "label")}
TIMED |= {"refined_crf": ("pseudo", "label"), "segmentation_multi_crf": ("predict", "evaluate")}
SPLITS = {name: Path(config["dataset"][name]).stem for name in ("label", "evaluate")}  # as metrics carry them


for evaluated, (stage, files, list_name) in EVALUATED.items():
    images = {"label": DATA.label, "evaluate": DATA.evaluate}[list_name]
    for folder, experiment in OWNERS[stage].items():
        settings = EXPERIMENTS[experiment]

        rule:
            name:
                named(f"evaluate_{evaluated}", folder)
            input:
                images=paths(images),
                labels=of(experiment, files, images),
                masks=masks(images),
                seconds=timed(experiment, evaluated),
            output:
                result=f"{RESULTS}/evaluation/{folder}{evaluated}.json",
                counts=f"{RESULTS}/evaluation/{folder}{evaluated}.npz",
                picture=report(
                    f"{RESULTS}/evaluation/{folder}{evaluated}.png",
                    caption="report/overlays.rst",
                    category="Labels",
                    subcategory=evaluated,
                    labels={"experiment": experiment},
                ),
            log:
                f"{RESULTS}/logs/evaluate/{folder}{evaluated}.log",
            benchmark:
                f"{RESULTS}/benchmarks/evaluate/{folder}{evaluated}.tsv"
            conda:
                ENVIRONMENT
            params:
                stage=evaluated,
                split=SPLITS[list_name],
                protocol=protocol(evaluated, settings),
                ids=list(images),
                masks=[image.mask for image in images.values()],
                mask_values=list(DATA.mask_values),
                classes=CLASSES,
                background_score=compared_with(evaluated, settings),
                pictures=spread(images, min(9, config["report"]["images"])),
            message:
                f"evaluating {evaluated} on {len(images)} images ({experiment})"
            script:
                f"{SCRIPTS}/evaluate_stage.py"
