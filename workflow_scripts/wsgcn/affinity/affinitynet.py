"""AffinityNet: features whose distance says how alike two points are, its labels from CAMs, its training.

Source: Ahn & Kwak, Learning pixel-level semantic affinity with image-level supervision, CVPR 2018, sections 3.2 and
3.3, and its released code (PSA).
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import nn

from wsgcn.affinity.matrices import feature_affinity
from wsgcn.affinity.pair_loss import pairwise_affinity_loss
from wsgcn.files import IGNORE
from wsgcn.labels.crf import dense_crf
from wsgcn.labels.scores import scores_with_background
from wsgcn.networks.backbone import build_backbone, freeze_batch_norm, normalise
from wsgcn.networks.inference import scaled_and_flipped, unflip
from wsgcn.networks.schedule import num_steps
from wsgcn.networks.training import FitContext, fit, labelled_crops

STRIDE = 8
"""Of the features: the finest of the three stages they come from."""

CHANNELS = (64, 128, 256)
"""That each of the last three stages is reduced to; 448 together."""


def feature_size(height: int, width: int) -> tuple[int, int]:
    """The grid of the features over an image: ceil(H/8), ceil(W/8)."""
    return -(-height // STRIDE), -(-width // STRIDE)


def label_for_affinitynet(image: np.ndarray, cams: np.ndarray, classes: Sequence[int], settings: Mapping) -> np.ndarray:
    """The sure foreground and the sure background, uint8 [H, W], 255 between the two [P, section 3.2].

    image: uint8 RGB [H, W, 3]; cams: float [K, H, W] of `classes`. Two dense CRFs on the CAMs and the background
    (1 - max cam)^alpha: foreground where the one with much background (alpha_low) says so, background where the one
    with little (alpha_high) does. settings: alpha_low, alpha_high, crf.
    """
    low, high = (
        dense_crf(image, scores_with_background(cams, settings[alpha]), settings["crf"]).argmax(0)
        for alpha in ("alpha_low", "alpha_high")
    )
    label = np.array([IGNORE, *classes], np.uint8)[low]
    label[high == 0] = 0
    return label


class AffinityNet(nn.Module):
    """The last three stages of a backbone -> 64, 128, 256 channels -> 448 features at stride 8 [P, section 3.2].

    Each stage: 1×1 convolution, ELU, bilinear to one grid; together: 1×1 convolution, ELU. The whole network is
    trained, with the batch norms' ImageNet statistics kept.
    """

    def __init__(self, backbone: nn.Module):
        super().__init__()
        self.backbone = backbone
        stages = [stage["num_chs"] for stage in backbone.feature_info][-3:]
        self.stages = nn.ModuleList(
            nn.Conv2d(inputs, outputs, 1, bias=False) for inputs, outputs in zip(stages, CHANNELS, strict=True)
        )
        self.last = nn.Conv2d(sum(CHANNELS), sum(CHANNELS), 1, bias=False)
        for stage in self.stages:  # as in the released code: with features as small as torch's own, all is alike
            nn.init.kaiming_normal_(stage.weight)
        nn.init.xavier_uniform_(self.last.weight, gain=4)

    def train(self, mode: bool = True):
        super().train(mode)
        freeze_batch_norm(self)
        return self

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Normalised images [B, 3, H, W] to features [B, 448, ceil(H/8), ceil(W/8)]."""
        size = feature_size(*images.shape[2:])
        maps = self.backbone.forward_intermediates(images, intermediates_only=True)[-3:]
        reduced = [
            F.interpolate(F.elu(stage(m)), size, mode="bilinear", align_corners=False)
            for stage, m in zip(self.stages, maps, strict=True)
        ]
        return F.elu(self.last(torch.cat(reduced, 1)))


def build_affinitynet(backbone: Mapping, device: torch.device) -> AffinityNet:
    """AffinityNet on the configured backbone (`name`, `weights`), channels last: twice as fast on a CPU."""
    model = AffinityNet(build_backbone(backbone["name"], backbone["weights"], output_stride=16))
    return model.to(device, memory_format=torch.channels_last)


def train_affinitynet(
    images: Sequence[str],
    labels: Sequence[str],
    backbone: Mapping,
    settings: Mapping,
    run: FitContext,
) -> tuple[AffinityNet, pd.DataFrame]:
    """Train on images and their labels of `label_for_affinitynet` (paths) [P, section 3.2].

    settings: epochs, batch, crop, scale (range), lr_backbone, lr_head, weight_decay, radius (of the pairs, in points of
    the features' grid, as in the released code). Returns the model and its losses by step.
    """
    torch.manual_seed(run.seed)
    model = build_affinitynet(backbone, run.device).train()
    mean = 255 * np.array(model.backbone.pretrained_cfg["mean"])
    size = feature_size(settings["crop"], settings["crop"])

    def loss(crops: torch.Tensor, label: torch.Tensor) -> dict[str, torch.Tensor]:
        batch = normalise(crops.permute(0, 3, 1, 2).float(), model.backbone)
        features = model(batch.contiguous(memory_format=torch.channels_last)).contiguous()
        return pairwise_affinity_loss(lambda dy, dx: feature_affinity(features, dy, dx), label, settings["radius"])

    heads = [*model.stages.parameters(), *model.last.parameters()]
    history = fit(
        model,
        [
            {"params": list(model.backbone.parameters()), "lr": settings["lr_backbone"]},
            {"params": heads, "lr": settings["lr_head"]},
        ],
        loss,
        len(images),
        labelled_crops(images, labels, settings, mean, size),
        run,
        batch=settings["batch"],
        iterations=num_steps(len(images), settings["epochs"], settings["batch"]),
        weight_decay=settings["weight_decay"],
    )
    return model, history


@torch.inference_mode()
def affinity_features(model: AffinityNet, image: np.ndarray, device: torch.device) -> np.ndarray:
    """Features of an image, uint8 RGB [H, W, 3]: float32 [448, ceil(H/8), ceil(W/8)], averaged over the flip."""
    return unflip(model(scaled_and_flipped(image, 1, True, model.backbone, device)), True).cpu().numpy()
