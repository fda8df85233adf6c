"""Time the GCN core beside the plain dense algorithm: on whole images, and over the number of nodes."""

import pandas as pd
import torch

from wsgcn.affinity.matrices import node_features
from wsgcn.data.augment import resize
from wsgcn.files import read_arrays, read_image, read_label, whole_file, why_skipped
from wsgcn.refinement.benchmark import Sample, compare, grid_of, growth, resized, summary
from wsgcn.reporting.figures import growth_curves
from wsgcn.workflow.jobs import logged

torch.set_num_threads(1)  # a pool of threads would not survive the forks that the methods are measured in

with logged(snakemake.log[0]):
    p, inputs, output = snakemake.params, snakemake.input, snakemake.output

    def sample(k: int) -> Sample:
        learnt, partial = read_arrays(inputs.affinities[k]), read_label(inputs.labels[k])
        image = resize(read_image(inputs.images[k]), *partial.shape)
        features = node_features(learnt, partial.shape, p.graph["features"]).reshape(-1, *partial.shape)
        whole = Sample(p.ids[k], learnt["boundary"], features, partial, image, tuple(p.classes[k]))
        return resized(whole, *grid_of(whole, p.nodes))

    files = zip(inputs.affinities, inputs.labels, strict=True)
    samples = [sample(k) for k, pair in enumerate(files) if not any(map(why_skipped, pair))]
    if not samples:
        raise ValueError(f"all images of the benchmark were skipped: {', '.join(p.ids)}")
    rows = compare(samples, p.graph, p.settings, snakemake.threads, print)
    rows += growth(samples[0], p.graph, p.settings, p.sizes, snakemake.threads, print)
    table = pd.DataFrame(rows)
    with whole_file(output.table) as path:
        table.to_csv(path, index=False)
    with whole_file(output.figure) as path:
        growth_curves(table).savefig(path, format="png", dpi=150)
    with whole_file(output.summary) as path:
        path.write_text(summary(table, snakemake.threads))
