"""What the Snakemake workflow is made of: stages, experiments, checks, jobs. The only wing that knows Snakemake."""
