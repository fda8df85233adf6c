# What the rules read and what is made of it: input and params functions, and the tables of what is evaluated and
# tracked.


def foreign_cams(images):
    """An input function: the files of CAMs from elsewhere of some images."""
    return lambda wildcards: [f"{setting('cam', 'cam', 'folder')(wildcards)}/{image}.npy" for image in images]


def affinities(images):
    """An input function: the files of affinities that a refinement reads, of either network."""
    return lambda wildcards: of(
        owner("refined", wildcards), f"{setting('refined', 'affinity')(wildcards)}_affinity", images
    )


def protocol_of_refined(settings):
    if settings["refinement"] == "gcn":
        return "GCN"
    return f"random walk of {settings['random_walk']['steps']} steps"


def protocol_of_scales(settings):
    prediction = settings["segmentation"]["prediction"]
    return f"scales {', '.join(map(str, prediction['scales']))}{' and flip' if prediction['flip'] else ''}"


# What is evaluated: the stage by whose folder it goes, the one whose files are read, the list of images, the stages
# whose seconds an image count and of which images, the protocol in words.
EVALUATED = {
    "cam": dict(
        by="cam_label",
        reads="cam",
        images=DATA.label,
        timed=lambda settings: {"cam": DATA.train | DATA.label},
        protocol=lambda settings: f"argmax against background {settings['background_score']}",
    ),
    "partial": dict(
        by="partial",
        reads="partial",
        images=DATA.label,
        timed=lambda settings: {"partial": DATA.label},
        protocol=lambda settings: "labelled pixels only",
    ),
    "refined": dict(
        by="refined",
        reads="refined",
        images=DATA.label,
        timed=lambda settings: {f"{settings['affinity']}_affinity": DATA.label, "refined": DATA.label},
        protocol=lambda settings: f"{protocol_of_refined(settings)}, no CRF",
    ),
    "refined_crf": dict(
        by="pseudo",
        reads="pseudo",
        images=DATA.label,
        timed=lambda settings: {"pseudo": DATA.label},
        protocol=lambda settings: f"{protocol_of_refined(settings)}, dense CRF",
    ),
    "segmentation_single": dict(
        by="predict",
        reads="single",
        images=DATA.evaluate,
        timed=lambda settings: {},
        protocol=lambda settings: "one scale, no CRF",
    ),
    "segmentation_multi": dict(
        by="predict",
        reads="multi",
        images=DATA.evaluate,
        timed=lambda settings: {},
        protocol=lambda settings: f"{protocol_of_scales(settings)}, no CRF",
    ),
    "segmentation_multi_crf": dict(
        by="predict",
        reads="multi_crf",
        images=DATA.evaluate,
        timed=lambda settings: {"predict": DATA.evaluate},
        protocol=lambda settings: f"{protocol_of_scales(settings)}, dense CRF",
    ),
}


def labels_of(by, stage, wildcards):
    """How a picture is listed in Snakemake's report."""
    return {"experiment": owner(by, wildcards), "stage": stage}


def curves_of(by, stage):
    """The picture of a stage's losses, as an output that Snakemake's report shows."""
    return report(
        f"{RESULTS}/mlflow/{{variant}}{stage}.png",
        caption="report/curves.rst",
        category="Losses",
        labels=partial(labels_of, by, stage),
    )


def split_of(images):
    """The name of the list that some images are, as metrics carry it."""
    return Path(config["dataset"]["evaluate" if images is DATA.evaluate else "label"]).stem


def evaluations(experiment, suffix="json", stages=EVALUATED):
    """The evaluations of those of some stages that an experiment has."""
    return [
        f"{RESULTS}/evaluation/{FOLDERS[EVALUATED[stage]['by']][experiment]}{stage}.{suffix}"
        for stage in stages
        if experiment in FOLDERS[EVALUATED[stage]["by"]]
        and (experiment in SEGMENTED or not stage.startswith("segmentation"))
    ]


def seconds_files(experiment, timed):
    """The tables of seconds an image of some stages of an experiment: {stage: images}."""
    return [
        path.replace("{variant}", FOLDERS[stage][experiment])
        for stage, images in timed.items()
        for path in seconds_of(stage, images)
    ]


def timed_files(what):
    """An input function: the tables of seconds that an evaluation counts."""
    return lambda wildcards: seconds_files(
        owner(what["by"], wildcards), what["timed"](EXPERIMENTS[owner(what["by"], wildcards)])
    )


def with_settings(by, function):
    """A params function: what `function` makes of the settings that a job works with."""
    return lambda wildcards: function(EXPERIMENTS[owner(by, wildcards)])


GCN = lambda settings: settings["refinement"] == "gcn"

# What is tracked: the stage by whose folder it goes, of which experiments, the sections of settings, what was
# measured, the evaluations that belong to it.
TRACKED = {
    "classifier": dict(
        by="classifier",
        settings=("classifier", "backbone", "seed"),
        measured={"history": f"{RESULTS}/classifier/{{variant}}history.csv"},
    ),
    "cam": dict(by="cam_label", settings=("cam", "background_score"), evaluated=["cam"]),
    "boundary": dict(
        by="boundary",
        settings=("irnet", "backbone", "seed"),
        measured={"history": f"{RESULTS}/irnet/{{variant}}history.csv"},
        timed={"irnet_label": DATA.train},
    ),
    "affinitynet": dict(
        by="affinitynet",
        settings=("psa", "backbone", "seed"),
        measured={"history": f"{RESULTS}/psa/{{variant}}history.csv"},
        timed={"psa_label": DATA.train},
    ),
    "partial": dict(by="partial", settings=("partial",), evaluated=["partial"]),
    "refine": dict(
        by="refined",
        wanted=GCN,
        settings=("affinity", "graph", "refine", "seed"),
        measured={"refined": per_image(FILES["refined"], DATA.label)},
        evaluated=["refined"],
    ),
    "random_walk": dict(
        by="refined",
        wanted=lambda settings: not GCN(settings),
        settings=("affinity", "graph", "random_walk"),
        evaluated=["refined"],
    ),
    "pseudo": dict(by="pseudo", settings=("pseudo",), evaluated=["refined_crf"]),
    "segmentation": dict(
        by="predict",
        settings=("segmentation", "seed"),
        measured={"history": source("predict", "segmentation_history")},
        evaluated=["segmentation_single", "segmentation_multi", "segmentation_multi_crf"],
    ),
}


def runs(experiment, own):
    """The files of an experiment's child runs: of the stages that it computes itself, or of those it shares."""
    found = []
    for stage, what in TRACKED.items():
        by, wanted = what["by"], what.get("wanted", lambda settings: True)
        if (
            experiment in FOLDERS[by]
            and wanted(EXPERIMENTS[experiment])
            and (stage != "segmentation" or experiment in SEGMENTED)
        ):
            folder = FOLDERS[by][experiment]
            if (OWNERS[by][folder] == experiment) == own:
                found.append(f"{RESULTS}/mlflow/{folder}{stage}.json")
    return found


def timed_by(what):
    """An input function: the tables of seconds of the labels that a network was trained on."""
    return lambda wildcards: seconds_files(owner(what["by"], wildcards), what.get("timed", {}))


def evaluated_by(what, suffix):
    """An input function: the evaluations that belong to a run."""
    return lambda wildcards: evaluations(owner(what["by"], wildcards), suffix, what.get("evaluated", ()))


def sections(what):
    """A params function: the sections of the settings that go with a run."""
    return with_settings(what["by"], lambda settings: {key: settings[key] for key in what["settings"]})


def shown(stage):
    """An input function: the files of a stage in the gallery, if the experiment has that stage."""
    return lambda wildcards: of(wildcards.experiment, stage, GALLERY) if wildcards.experiment in FOLDERS[stage] else []


def trainings(wildcards):
    """The benchmark files of the trainings that an experiment's results come from."""
    return {
        stage: f"{RESULTS}/benchmarks/{FOLDERS[stage][wildcards.experiment]}{stage}.tsv"
        for stage in ("classifier", "boundary", "affinitynet", "segmentation")
        if wildcards.experiment in FOLDERS.get(stage, ())
    }
