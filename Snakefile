# From image tags to segmentation masks: WSGCN (Pan et al., ICME 2021), one stage per file under rules/.

from pathlib import Path

OWN = Path("config.yaml")  # of the working directory, else of this workflow
USES_OWN = OWN.is_file() and workflow.modifier.is_main_snakefile()


configfile: str(OWN if USES_OWN else Path(str(workflow.current_basedir)) / OWN)


include: "rules/common.smk"
include: "rules/hooks.smk"
include: "rules/data.smk"
include: "rules/cam.smk"
include: "rules/affinity.smk"
include: "rules/partial.smk"
include: "rules/refine.smk"
include: "rules/pseudo.smk"
include: "rules/corrections.smk"
include: "rules/segmentation.smk"
include: "rules/predict.smk"
include: "rules/evaluation.smk"
include: "rules/tracking.smk"
include: "rules/benchmark.smk"
include: "rules/choice.smk"
include: "rules/export.smk"
include: "rules/review.smk"


report: "rules/report/workflow.rst"


rule all:
    default_target: True
    input:
        f"{RESULTS}/report/{BASE}.html",
        f"{RESULTS}/summary/{BASE}.txt",
        [MODEL_VERSION] if PLAN.is_segmented(BASE) else [],
        # Listed so that a lost label is computed again; other per-image files may be deleted to save space.
        [] if PLAN.labels_only else PLAN.files(BASE, "partial", DATA.label),
        [] if PLAN.labels_only else PLAN.files(BASE, "pseudo", DATA.label),
    localrule: True
    message:
        "everything is complete"


rule labels:
    input:
        PLAN.files(BASE, "pseudo", DATA.label),
    localrule: True
    message:
        "the labels are complete"


include: "rules/experiments.smk"  # last, so that no experiment has the name of a rule


# Snakemake keeps each rule's function as a global that nothing reads again, and copies all globals for each message.
for stated in workflow.rules:
    globals().pop(f"__{stated.name}", None)


onstart:
    before_first_job()


onerror:
    end_failed_runs()


onsuccess:
    show_summary()
