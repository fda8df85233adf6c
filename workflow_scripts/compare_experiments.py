"""Compare the labels of two experiments: the difference of their mIoU, and where they disagree most."""

from wsgcn.evaluation.comparison import compare_experiments, disagreement_shares, read_counts
from wsgcn.evaluation.truth import GroundTruth
from wsgcn.files import voc_palette, write_json
from wsgcn.reporting.disagreement import disagreement_picture, disagreement_rows
from wsgcn.reporting.pictures import save_picture
from wsgcn.workflow.jobs import logged

with logged(snakemake.log[0]):
    params, inputs, outputs = snakemake.params, snakemake.input, snakemake.output
    shares = disagreement_shares(inputs.own, inputs.reference)
    counts, reference_counts = read_counts(inputs.own_counts), read_counts(inputs.reference_counts)
    write_json(outputs.result, compare_experiments(shares, counts, reference_counts))
    truth = GroundTruth(params.ids, params.masks, params.mask_values)
    rows = disagreement_rows(shares, inputs.images, inputs.own, inputs.reference, truth)
    save_picture(outputs.picture, disagreement_picture(rows, params.reference, params.experiment, voc_palette()))
