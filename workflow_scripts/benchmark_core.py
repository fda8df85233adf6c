"""Time the GCN core beside the plain dense algorithm: on whole images, and over the number of nodes."""

import pandas as pd
import torch

from wsgcn.affinity.matrices import node_features
from wsgcn.data.augment import resize
from wsgcn.files import atomic_write, read_arrays, read_image, read_label, why_skipped
from wsgcn.refinement.benchmark import Sample, compare, grid_with_nodes, resample, scaling, summary
from wsgcn.reporting.figures import scaling_curves
from wsgcn.workflow.jobs import logged

torch.set_num_threads(1)  # a pool of threads would not survive the forks that the methods are measured in

with logged(snakemake.log[0]):
    p, inputs, output = snakemake.params, snakemake.input, snakemake.output

    def sample(k: int) -> Sample:
        learnt, partial = read_arrays(inputs.affinities[k]), read_label(inputs.labels[k])
        image = resize(read_image(inputs.images[k]), *partial.shape)
        features = node_features(learnt, partial.shape, p.graph["features"]).reshape(-1, *partial.shape)
        whole = Sample(p.ids[k], learnt["boundary"], features, partial, image, tuple(p.classes[k]))
        return resample(whole, *grid_with_nodes(whole, p.nodes))

    files = zip(inputs.affinities, inputs.labels, strict=True)
    samples = [sample(k) for k, pair in enumerate(files) if not any(map(why_skipped, pair))]
    if not samples:
        raise ValueError(f"all images of the benchmark were skipped: {', '.join(p.ids)}")
    rows = compare(samples, p.graph, p.settings, snakemake.threads, print)
    rows += scaling(samples[0], p.graph, p.settings, p.sizes, snakemake.threads, print)
    table = pd.DataFrame(rows)
    with atomic_write(output.table) as path:
        table.to_csv(path, index=False)
    with atomic_write(output.figure) as path:
        scaling_curves(table).savefig(path, format="png", dpi=150)
    with atomic_write(output.summary) as path:
        path.write_text(summary(table, snakemake.threads))
