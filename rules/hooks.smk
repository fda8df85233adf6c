# What happens before the first job and after the last.


def before_first_job():
    """Clean up after a crash, then report what is wrong with images, masks and networks before hours are spent."""
    lift_job_rate_limit()
    keep_checksums()
    if problem := why_not_writable(Path(RESULTS)):
        raise WorkflowError(problem)
    running = {str(path) for job in workflow.dag.needrun_jobs() for path in job.output}
    check_store(running)  # first, so that a server that is away is said at once
    recover_from_crash()
    recover_submitted_jobs()
    remarks = device_remarks(config, REQUEST.remote)
    remarks += repeated_experiments(PLAN) + short_trainings(PLAN, running) + hard_classes(DATA)
    remarks += check_inputs(running)  # long lists last
    print("\n".join([describe_classes(DATA), *format_remarks(remarks), ""]), file=sys.stderr)


def recover_submitted_jobs():
    """Record what jobs of a dead head have computed, and note which jobs this one submits."""
    if problem := record_finished_jobs(workflow, DEAD_HEADS):
        raise WorkflowError(problem)
    # Else jobs would ask a cluster for nothing, or this machine for what nobody gives.
    if workflow.is_main_process and REQUEST.remote == workflow.local_exec:
        raise WorkflowError("the executor cannot be told from the command line: give --executor or an absolute profile")
    if name_of_slurm_jobs() and not IS_MODULE:
        jobs = job_keys(workflow, workflow.dag.needrun_jobs())
        if not keep_note(SNAKEMAKE, name_of_slurm_jobs(), config, jobs):
            to_stderr("this file system has no locks: should this run die, its jobs in Slurm will not be found")


def name_of_slurm_jobs():
    """What Slurm's executor calls its jobs; empty with other executors."""
    return getattr(workflow.scheduler._executor, "run_uuid", "")


def check_store(running):
    """Where this run logs to MLflow, make sure that it can, and wait for a server that is away."""
    if any(path.startswith(f"{RESULTS}/mlflow/") for path in running):
        try:
            open_address(TRACKING_URI, Path(RESULTS) / "mlflow", to_stderr)
        except ValueError as error:
            raise WorkflowError(format_problems(str(error).splitlines())) from None


def check_inputs(running):
    """Open the images and masks that have changed since the last check, and build the networks to be trained.

    Returns what is worth knowing of the data, a sentence each.
    """
    problems, remarks = [], list(ORIGINALS.remarks)
    if not READER.drawn:
        opened = open_images(ORIGINALS, RESULTS, ALL_CORES, config["on_error"] == "skip")
        problems += opened.problems
        remarks += describe_duplicates(ORIGINALS, f"{RESULTS}/data/thumbnails.json", ALL_CORES)
        remarks += opened.remarks + (describe_range(LEVELS, len(ORIGINALS.images)) if LEVELS else [])
        remarks += [f"will be skipped: {problem}" for problem in opened.skipped]
        remarks += [f"left out: {problem}" for problem in MISSING.values()]
    wrong, said = open_corrections(ORIGINALS, CORRECTIONS, RESULTS, ALL_CORES)
    problems, remarks = problems + wrong, remarks + said
    if FOLDER and any(path.startswith(f"{FOLDER.labels}/") for path in running):
        broken, skipped = FOLDER.open(ALL_CORES, config["on_error"] == "skip")
        problems += broken
        remarks += FOLDER.remarks() + [f"will be skipped: {problem}" for problem in skipped]
        FOLDER.remember()
    problems += check_networks(networks_to_train(PLAN, running), f"{RESULTS}/data/networks.json")
    if problems:
        raise WorkflowError(format_problems(problems, remarks))
    return remarks


def recover_from_crash():
    """Remove the half-written files of a workflow that was killed here, and mark its open MLflow runs as killed."""
    if crashed(SNAKEMAKE):
        for path in Path("results").glob("*/mlflow/store.json"):
            end_runs_of(path, "KILLED", "folder")
        remove_partial_files(SNAKEMAKE, Path("results"))


def end_failed_runs():
    """Mark the MLflow runs of this workflow that did not end as failed; say why jobs failed that have no log yet."""
    for line in failures(SNAKEMAKE, STARTED) if REQUEST.remote else ():
        to_stderr(line)
    drop_own_note(name_of_slurm_jobs())
    if Path(STORE).is_file():
        end_runs_of(STORE, "FAILED", "workflow")


def end_runs_of(store, status, tag):
    """Set the status of the runs in a store that have this folder's, or this workflow's, tag and seem to run.

    Where that fails a sentence says so: a server that is away must neither keep a workflow from running nor hide why it
    failed.
    """
    from wsgcn.tracking.runs import end_runs, workflow_tags  # imports MLflow, which takes seconds

    try:
        named = read_json(store)
        if why := why_away(named["uri"]):
            raise ConnectionError(why)
        end_runs(named, status, **{tag: workflow_tags()[tag]})
    except Exception as error:
        to_stderr(f"the runs that {store} names could not be marked as {status}: {error}")


def lift_job_rate_limit():
    """Take away Snakemake's default limit of 100 jobs per second, which needs half a core after an hour.

    In Snakemake 9.27 each job that ends starts one more timer under it, and each timer checks all ready jobs, with all
    of their files, once per second. One machine needs no such limit; one that a user asked for stays.
    """
    limit = workflow.scheduling_settings.max_jobs_per_timespan
    if limit and (limit.max_jobs, limit.timespan) == (100, 1):
        workflow.scheduler.job_rate_limiter = None


def show_summary():
    """Print the tables that this run has made, or where the labels are if it was to make these alone."""
    drop_own_note()
    every, tables = Path(RESULTS) / "ablations/summary.txt", [
        Path(RESULTS) / "benchmark/core.txt",
        Path(RESULTS) / "choice/choice.txt",
    ]
    for name in EXPERIMENTS:
        tables += [Path(RESULTS) / f"summary/{name}.txt", Path(RESULTS) / f"review/{name}/review.txt"]
    new = [path for path in (every, *tables) if path.is_file() and path.stat().st_mtime >= STARTED]
    for path in [every] if every in new else new:  # the table of all holds the others
        print(path.read_text(), file=sys.stderr)
    targets = [target.name for target in workflow.dag.targetrules]
    if "import_corrections" in targets:
        print(Path(IMPORT_LOG).read_text(), end="", file=sys.stderr)
    if "export" in targets:
        print(f"exported  {EXPORTS}", file=sys.stderr)
    if FOLDER and "predict" in targets:
        print(f"labels of {FOLDER.path}    {FOLDER.labels}", file=sys.stderr)
    if targets == ["labels"]:
        print(f"labels    {RESULTS}/pseudo/{PLAN.folders['pseudo'][BASE]}", file=sys.stderr)
        for problem in MISSING.values():
            print(f"left out: {problem}", file=sys.stderr)
