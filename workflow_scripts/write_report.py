"""Write the report: the table of stages and a gallery of every stage of some images."""

from pathlib import Path

from wsgcn.evaluation.truth import GroundTruth
from wsgcn.files import read_json
from wsgcn.reporting.gallery import StageFiles, make_gallery
from wsgcn.reporting.report import ReportHeader, write_report
from wsgcn.text import flatten
from wsgcn.workflow.jobs import logged
from wsgcn.workflow.stages import REFINERS

with logged(snakemake.log[0]):
    params, inputs = snakemake.params, snakemake.input
    evaluations = [read_json(path) for path in inputs.evaluations]
    truth = GroundTruth(params.ids, params.masks, params.mask_values, params.classes)
    files = StageFiles(inputs.images, inputs.cams, inputs.boundaries, inputs.partials, inputs.refined, inputs.pseudo)
    gallery = make_gallery(files, truth, params.labels, evaluations, REFINERS[params.refinement].title)
    labels_folder = str(Path(inputs.pseudo[0]).parent)
    header = ReportHeader(f"{params.experiment} on {params.dataset}", labels_folder, params.ui_command, params.places)
    settings, chosen = flatten(params.settings), params.get("chosen", {})
    write_report(snakemake.output[0], header, evaluations, gallery, params.classes, settings, chosen)
