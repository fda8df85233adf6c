# Each experiment by its name: `snakemake --cores 2 no-entropy`.

for experiment in EXPERIMENTS:
    if experiment in [rule.name for rule in workflow.rules]:
        raise WorkflowError(f"config: experiment {experiment}: a rule is called so; take another name")

    rule:
        name:
            experiment
        input:
            f"{RESULTS}/summary/{experiment}.txt",
            of(experiment, "pseudo", DATA.label),
        message:
            f"{experiment} is there"
