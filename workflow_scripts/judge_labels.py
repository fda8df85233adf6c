"""Judge the labels of an experiment by the rules that need no truth, and compare them with the masks that there are."""

from wsgcn.evaluation.judging import JudgedFiles, judge_agreement, judge_consistency
from wsgcn.evaluation.label_files import pixel_label
from wsgcn.evaluation.stages import score_labels
from wsgcn.evaluation.truth import GroundTruth
from wsgcn.files import read_arrays, write_arrays, write_json
from wsgcn.networks.backbone import BackboneSettings
from wsgcn.networks.device import pick_device
from wsgcn.sections import from_section
from wsgcn.workflow.jobs import logged

with logged(snakemake.log[0]):
    p, inputs, outputs = snakemake.params, snakemake.input, snakemake.output
    of_walk = (inputs.get("cams", []), inputs.get("affinities", []))
    files = JudgedFiles(p.ids, p.labels, inputs.images, inputs.refined, inputs.labels, *of_walk)
    backbone, device = from_section(BackboneSettings, p.backbone), pick_device(snakemake.resources.device)
    consistency = judge_consistency(files, read_arrays(inputs.heads), backbone, device)
    write_json(outputs.scores, judge_agreement(files, p.walk) | {"consistency": consistency})
    _, counts = score_labels(inputs.labels, GroundTruth(p.ids, p.masks, p.mask_values, p.names), pixel_label)
    write_arrays(outputs.counts, counts=counts)
