"""Write a correction for each image that came back changed from another tool, and print what became of the others."""

from wsgcn.data.sizes import image_facts
from wsgcn.exporting.contract import Known
from wsgcn.exporting.corrections import import_corrections
from wsgcn.exporting.masks import read_masks
from wsgcn.workflow.check import format_problems
from wsgcn.workflow.exchange import export_records
from wsgcn.workflow.jobs import logged
from wsgcn.workflow.rows import load
from wsgcn.workflow.stages import EXPORTERS

with logged(snakemake.log[0]):
    p = snakemake.params
    facts = image_facts(p.paths.values(), p.sizes)
    sizes = {image: facts[p.paths[image]][:2] for image in p.ids if p.paths[image] in facts}
    known = Known(sizes, p.classes, p.tagged)
    readers = {row.title: load(row.read) for row in EXPORTERS.values()} | {"a folder of label PNGs": read_masks}
    options = {"keep_unchanged": p.keep_unchanged, "overwrite": p.overwrite}
    done = import_corrections(p.source, known, p.folder, readers, export_records(p.exports), **options)
    if done.problems:
        raise ValueError(format_problems(done.problems))
    print("\n".join(done.describe(p.folder)))
