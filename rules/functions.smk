# What several rules of evaluation, tracking and summary read.


def timed(experiment, evaluated):
    """The tables of seconds an image that an evaluation counts."""
    stages = [TIMED[evaluated]] if evaluated in TIMED else []
    if evaluated == "refined" and EXPERIMENTS[experiment]["refinement"] != "none":
        stages.append((f"{EXPERIMENTS[experiment]['affinity']}_affinity", "label"))
    return [path for stage, list_name in stages for path in seconds_of(experiment, stage, list_name)]


def protocol(evaluated, settings):
    """How an evaluation's labels came about, in words."""
    walk, prediction = settings["random_walk"], settings["segmentation"]["prediction"]
    refined = {"gcn": "GCN", "random_walk": f"random walk of {walk['steps']} steps", "none": "CAM"}
    scales = f"scales {', '.join(map(str, prediction['scales']))}{' and flip' if prediction['flip'] else ''}"
    return {
        "cam": f"argmax against background {settings['background_score']}",
        "partial": "labelled pixels only",
        "refined": f"{refined[settings['refinement']]}, no CRF",
        "refined_crf": f"{refined[settings['refinement']]}, dense CRF",
        "segmentation_single": "one scale, no CRF",
        "segmentation_multi": f"{scales}, no CRF",
        "segmentation_multi_crf": f"{scales}, dense CRF",
    }[evaluated]


def compared_with(evaluated, settings):
    """The background score that an evaluation's maps compete with, beside which it tries others; None without one."""
    walk = settings["random_walk"]
    against_constant = settings["refinement"] == "random_walk" and walk["background"] == "constant"
    return {
        "cam": settings["background_score"],
        "refined": walk["background_score"] if against_constant else None,
    }.get(evaluated)


def segmented(folder):
    """Whether an experiment that shares this folder of pseudo labels trains a segmentation network."""
    return any(FOLDERS["predict"][experiment] == folder for experiment in SEGMENTED)


def trainings(experiment):
    """What an experiment's trainings took, its own and those it shares."""
    return [
        f"{RESULTS}/seconds/{FOLDERS[stage][experiment]}{stage}.json"
        for stage in ("classifier", "boundary", "affinitynet", "segmentation")
        if experiment in FOLDERS[stage] and (stage != "segmentation" or segmented(FOLDERS[stage][experiment]))
    ]


def made(experiment, tracked):
    """What the jobs of a tracked stage tell of themselves."""
    found = [TIMED[evaluated] for evaluated in TRACKED[tracked][2] if evaluated in TIMED]
    tables = [path for stage, list_name in found for path in seconds_of(experiment, stage, list_name)]
    if f"{tracked}_history" in FILES:
        tables.append(f"{RESULTS}/seconds/{FOLDERS[tracked][experiment]}{tracked}.json")
    return tables


def evaluations(experiment, suffix="json", wanted=None):
    """The evaluations that an experiment has, or of those the wanted ones."""
    found = []
    for evaluated in EVALUATED if wanted is None else wanted:
        stage, files, _ = EVALUATED[evaluated]
        if experiment in FOLDERS[stage] and (stage != "predict" or segmented(FOLDERS[stage][experiment])):
            found.append(f"{RESULTS}/evaluation/{FOLDERS[stage][experiment]}{evaluated}.{suffix}")
    return found


def runs(experiment, own):
    """The files of an experiment's child runs: of the stages that it computes itself, or of those it shares."""
    found = []
    for tracked, (stage, _, _) in TRACKED.items():
        if experiment in FOLDERS[stage] and (stage != "predict" or segmented(FOLDERS[stage][experiment])):
            folder = FOLDERS[stage][experiment]
            if (OWNERS[stage][folder] == experiment) == own:
                found.append(f"{RESULTS}/mlflow/{folder}{tracked}.json")
    return found
