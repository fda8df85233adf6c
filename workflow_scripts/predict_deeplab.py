"""Segment a batch of images with DeepLabV2."""

from wsgcn.workflow.method_jobs import predict_images
from wsgcn.workflow.stages import SEGMENTATION_NETWORKS

predict_images(snakemake, SEGMENTATION_NETWORKS["deeplabv2"].open)
