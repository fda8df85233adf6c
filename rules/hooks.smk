# What happens before the first job and after the last.


def check_inputs():
    """Open the images and masks that have changed since this was last done, and build the networks to be trained."""
    wrong = []
    if config["dataset"]["kind"] != "demo":
        for problem in MISSING.values():
            print(f"left out: {problem}", file=sys.stderr)
        wrong, skipped = open_images(ORIGINALS, RESULTS, ALL_CORES, config["on_error"] == "skip")
        for problem in skipped:
            print(f"will be skipped: {problem}", file=sys.stderr)
    wrong += check_networks(networks_to_train(), f"{RESULTS}/data/networks.json")
    if wrong:
        raise WorkflowError(format_problems(wrong))


def networks_to_train():
    """Where the config names each backbone that this run is to train, the backbone, and its output stride."""
    running, found = {job.rule.name for job in workflow.dag.needrun_jobs()}, []
    for stage in ("classifier", "boundary", "affinitynet", "segmentation"):
        for folder, experiment in OWNERS[stage].items():
            settings, where, stride = EXPERIMENTS[experiment], "", 16
            if stage == "segmentation":
                settings, where, stride = settings["segmentation"]["training"], "segmentation.training.", 8
            if named(stage, folder) in running:
                found.append((where, settings["backbone"], stride))
    return found


def tell_classes():
    """The classes of a folder with how many images show each: a misspelt tag is a class of its own."""
    if config["dataset"]["kind"] == "folder":
        shown = Counter(CLASSES[index - 1] for image in DATA.images.values() for index in image.classes)
        print(f"classes: {', '.join(f'{name} ({shown[name]} images)' for name in CLASSES)}", file=sys.stderr)


def warn_of_short_trainings():
    """Before time is spent on networks that see too little to learn anything."""
    running = {job.rule.name for job in workflow.dag.needrun_jobs()}
    count = len(DATA.train)
    for stage, key in {"classifier": "classifier", "boundary": "irnet.training", "affinitynet": "psa.training"}.items():
        for folder, experiment in OWNERS[stage].items():
            training = select(EXPERIMENTS[experiment], [key])[key]
            epochs, batch = training["epochs"], training["batch"]
            if named(stage, folder) in running and (steps := num_steps(count, epochs, batch)) < FEW:
                print(
                    f"{key}: {epochs} epochs over {count} images are {steps} steps of {batch} images; "
                    f"a network hardly learns in fewer than {FEW}, so more epochs may help",
                    file=sys.stderr,
                )


def after_a_death():
    """Clear up after a workflow that was killed here: half-written files, MLflow runs that look alive."""
    if crashed(SNAKEMAKE):
        for path in Path("results").glob("*/mlflow/store.json"):
            from wsgcn.files import read_json
            from wsgcn.tracking.runs import end_runs, workflow_tags  # which takes seconds

            try:
                end_runs(read_json(path), "KILLED", folder=workflow_tags()["folder"])
            except Exception as error:  # a server that is away need not keep this workflow from running
                print(f"runs of {path} that were killed could not be marked as such: {error}", file=sys.stderr)
        remove_partial_files(SNAKEMAKE, Path("results"))


def end_failed_runs():
    """Mark the MLflow runs of this workflow that did not end as failed."""
    if Path(STORE).is_file():
        from wsgcn.files import read_json
        from wsgcn.tracking.runs import end_runs, workflow_tags

        try:
            end_runs(read_json(STORE), "FAILED", workflow=workflow_tags()["workflow"])
        except Exception as error:  # which must not hide why the workflow failed
            print(f"the MLflow runs of this workflow could not be marked as failed: {error}", file=sys.stderr)


def schedule_at_leisure():
    """Take away Snakemake's default limit of 100 jobs a second, which needs half a core after an hour.

    In Snakemake 9.27 each job that ends starts one more timer under it, and each timer has all ready jobs looked at,
    with all of their files, once a second. One machine needs no such limit; one that a user asked for stays.
    """
    limit = workflow.scheduling_settings.max_jobs_per_timespan
    if limit and (limit.max_jobs, limit.timespan) == (100, 1):
        workflow.scheduler.job_rate_limiter = None


def show_summary():
    """Print the tables that this run has made, or where the labels are if it was to make these alone."""
    every, tables = Path(RESULTS) / "ablations/summary.txt", [Path(RESULTS) / "benchmark/core.txt"]
    tables += [Path(RESULTS) / f"summary/{name}.txt" for name in EXPERIMENTS]
    new = [path for path in (every, *tables) if path.is_file() and path.stat().st_mtime >= STARTED]
    for path in [every] if every in new else new:  # which says it all
        print(path.read_text(), file=sys.stderr)
    if [target.name for target in workflow.dag.targetrules] == ["labels"]:
        print(f"labels    {RESULTS}/pseudo/{FOLDERS['pseudo'][BASE]}", file=sys.stderr)
        for problem in MISSING.values():
            print(f"left out: {problem}", file=sys.stderr)
