"""The parts of the Snakemake workflow: stages, experiments, checks, jobs. The only wing that knows Snakemake."""
