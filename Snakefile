# From image tags to segmentation masks: WSGCN (Pan et al., ICME 2021), one stage a file under rules/.


configfile: "config.yaml"


include: "rules/common.smk"
include: "rules/functions.smk"
include: "rules/hooks.smk"
include: "rules/data.smk"
include: "rules/cam.smk"
include: "rules/irnet.smk"
include: "rules/psa.smk"
include: "rules/partial.smk"
include: "rules/refine.smk"
include: "rules/crf.smk"
include: "rules/segmentation.smk"
include: "rules/evaluation.smk"
include: "rules/tracking.smk"
include: "rules/summary.smk"
include: "rules/ablations.smk"
include: "rules/benchmark.smk"


report: "rules/report/workflow.rst"


localrules:
    all,
    labels,


rule all:
    default_target: True
    input:
        f"{RESULTS}/report/{BASE}.html",
        f"{RESULTS}/summary/{BASE}.txt",
        # Named here, a lost label is made anew; other per-image files may be deleted to save space.
        of(BASE, "partial", DATA.label),
        of(BASE, "pseudo", DATA.label),
    message:
        "everything is there"


rule labels:
    input:
        of(BASE, "pseudo", DATA.label),
    message:
        "the labels are there"


include: "rules/targets.smk"  # last, so that no experiment is called as a rule is


onstart:
    schedule_at_leisure()
    after_a_death()
    check_inputs()
    tell_classes()
    warn_of_short_trainings()


onerror:
    end_failed_runs()


onsuccess:
    show_summary()
