# From image tags to segmentation masks: WSGCN (Pan et al., ICME 2021), one stage a file under rules/.


configfile: "config.yaml"


include: "rules/common.smk"
include: "rules/data.smk"
include: "rules/cam.smk"
include: "rules/affinity.smk"
include: "rules/partial.smk"
include: "rules/refine.smk"
include: "rules/crf.smk"
include: "rules/segmentation.smk"
include: "rules/tracking.smk"
include: "rules/benchmark.smk"


localrules:
    all,
    labels,


rule all:
    default_target: True
    input:
        f"{RESULTS}/report.html",
        f"{RESULTS}/summary.txt",
        # Named here, a lost label is made anew; other per-image files may be deleted to save space.
        per_image("partial/{image}.png", DATA.label),
        per_image(f"pseudo/{EXPERIMENT}/{{image}}.png", DATA.label),
    message:
        "everything is there"


rule labels:
    input:
        per_image(f"pseudo/{EXPERIMENT}/{{image}}.png", DATA.label),
    message:
        "the labels are there"


onstart:
    check_images()


onsuccess:
    show_summary()
