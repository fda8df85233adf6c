"""Compare the labels of one stage with the ground truth, and draw a few of them over their images."""

from wsgcn.evaluation.label_files import label_reader
from wsgcn.evaluation.stages import StageProtocol, evaluate_stage
from wsgcn.evaluation.truth import GroundTruth
from wsgcn.files import write_arrays, write_json
from wsgcn.reporting.overlays import overlay_sheet
from wsgcn.reporting.pictures import save_picture
from wsgcn.workflow.jobs import logged

with logged(snakemake.log[0]):
    params, inputs, outputs = snakemake.params, snakemake.input, snakemake.output
    negatives = params.get("negatives", [])
    truth = GroundTruth(params.ids, params.masks, params.mask_values, params.classes, negatives)
    protocol = StageProtocol(params.stage, params.split, params.protocol, params.background_score)
    result, counts = evaluate_stage(protocol, truth, inputs.labels, inputs.seconds)
    write_json(outputs.result, result)
    write_arrays(outputs.counts, counts=counts)
    read = label_reader(params.stage, params.background_score)
    save_picture(outputs.picture, overlay_sheet(params.pictures, inputs.images, inputs.labels, truth, read))
