"""Draw a batch of the demo's images with their masks and annotations, in VOC layout."""

from pathlib import Path

from wsgcn.data import demo_scenes as demo
from wsgcn.workflow.jobs import logged

with logged(snakemake.log[0]):
    p = snakemake.params
    root = Path(snakemake.output.images[0]).parents[1]
    for image, classes in zip(p.ids, p.classes, strict=True):
        demo.write(root, image, tuple(demo.CLASSES[k - 1] for k in classes), p.seed, p.size)
