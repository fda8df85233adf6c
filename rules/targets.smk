# Each experiment by its name: `snakemake --cores 2 no-entropy`.

if taken := EXPERIMENTS.keys() & {rule.name for rule in workflow.rules}:
    lines = [f"config: experiment {name}: a rule is called so; take another name" for name in sorted(taken)]
    raise WorkflowError("\n".join(lines))

for experiment in EXPERIMENTS:

    rule:
        name:
            experiment
        input:
            f"{RESULTS}/summary/{experiment}.txt",
            of(experiment, "pseudo", DATA.label),
        message:
            f"{experiment} is there"
