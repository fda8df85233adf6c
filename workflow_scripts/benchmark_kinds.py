"""Time the GCN core on kinds of boundary and compare it with the dense operator."""

import torch

from wsgcn.graph.operator import GraphSettings
from wsgcn.refinement.benchmark_kinds import kinds_table, write_kinds
from wsgcn.refinement.benchmark_methods import read_samples
from wsgcn.refinement.gcn import GcnSettings
from wsgcn.sections import from_section
from wsgcn.workflow.jobs import logged

torch.set_num_threads(1)  # a pool of threads would not survive the forks that each kind is measured in

with logged(snakemake.log[0]):
    p, inputs, output = snakemake.params, snakemake.input, snakemake.output
    graph, settings = from_section(GraphSettings, p.graph), from_section(GcnSettings, p.settings)
    paths = (inputs.images, inputs.affinities, inputs.labels)
    samples = read_samples(p.ids, p.classes, *paths, graph.features, p.nodes, p.get("grid_image", "bicubic"))
    write_kinds(kinds_table(samples[0], graph, settings, p.sizes, print), output.table, output.summary)
