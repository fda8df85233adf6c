"""Draw a batch of the demo's images with their masks and annotations, in VOC layout."""

from pathlib import Path

from wsgcn.data import demo_scenes as demo
from wsgcn.workflow.jobs import logged

with logged(snakemake.log[0]):
    params = snakemake.params
    root = Path(snakemake.output.images[0]).parents[1]
    for image, indices in zip(params.ids, params.classes, strict=True):
        classes = tuple(demo.CLASSES[index - 1] for index in indices)
        demo.write(root, image, classes, params.seed, params.size)
