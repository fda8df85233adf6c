"""Export the trained network to ONNX."""

from wsgcn.serving.onnx_file import export_onnx
from wsgcn.workflow.jobs import logged
from wsgcn.workflow.rows import load

with logged(snakemake.log[0]):
    p = snakemake.params
    export_onnx(snakemake.output[0], load(p.network)(p.params, snakemake.input.model), p.names)
