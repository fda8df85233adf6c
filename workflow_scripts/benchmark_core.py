"""Time the GCN core and the plain dense algorithm: on whole images, and over the number of nodes."""

import torch

from wsgcn.files import atomic_write
from wsgcn.graph.operator import GraphSettings
from wsgcn.refinement.benchmark import benchmark_table, write_benchmark
from wsgcn.refinement.benchmark_methods import read_samples
from wsgcn.refinement.gcn import GcnSettings
from wsgcn.reporting.figures import scaling_curves
from wsgcn.sections import from_section
from wsgcn.workflow.jobs import logged

torch.set_num_threads(1)  # a pool of threads would not survive the forks that the methods are measured in

with logged(snakemake.log[0]):
    p, inputs, output = snakemake.params, snakemake.input, snakemake.output
    graph, settings = from_section(GraphSettings, p.graph), from_section(GcnSettings, p.settings)
    paths = (inputs.images, inputs.affinities, inputs.labels)
    samples = read_samples(p.ids, p.classes, *paths, graph.features, p.nodes, p.get("grid_image", "bicubic"))
    table = benchmark_table(samples, graph, settings, p.sizes, snakemake.threads, print)
    write_benchmark(table, snakemake.threads, output.table, output.summary)
    with atomic_write(output.figure) as path:
        scaling_curves(table).savefig(path, format="png", dpi=150)
