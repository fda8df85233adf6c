"""AffinityNet: features whose distance gives the affinity of two points, its labels from CAMs, its training.

Source: Ahn & Kwak, Learning pixel-level semantic affinity with image-level supervision, CVPR 2018, sections 3.2 and
3.3, and its released code (PSA).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import nn

from wsgcn.affinity.contract import AffinityOutput
from wsgcn.affinity.learning import measured_images
from wsgcn.affinity.matrices import feature_affinity
from wsgcn.affinity.pair_loss import measure_gain, pair_costs, pairwise_affinity_loss
from wsgcn.affinity.score_labels import read_pooled_label, read_training_label
from wsgcn.affinity.score_samples import score_crops
from wsgcn.data.augment import resize_label
from wsgcn.files import read_image, read_label
from wsgcn.networks.backbone import (
    Backbone,
    BackboneSettings,
    build_backbone,
    freeze_batch_norm,
    freeze_norm_weights,
    freeze_stages,
    normalise,
)
from wsgcn.networks.inference import load_trained, scaled_and_flipped, unflip
from wsgcn.networks.samples import Corrections, Sampler, corrections_of, labelled_crops
from wsgcn.networks.schedule import num_steps
from wsgcn.networks.training import FitContext, fit
from wsgcn.sections import from_section

STRIDE_PIXELS = 8
"""Of the features: the finest of the three stages they come from."""

NUM_CHANNELS = (64, 128, 256)
"""To which each of the last three stages is reduced; 448 together."""


@dataclass(frozen=True)
class AffinityNetTrainingSettings:
    """The `psa.training` section: crop [pixels], scale: range of the random scaling.

    radius: of the pairs, in points of the features' grid, as in the released code; pairs: `all`, or `inner`
    (`pair_loss.pair_costs`); colour_jitter: strengths of `augment.jitter_colours`; freeze_stages: number of the
    backbone's first stages whose weights are left as they are; freeze_norm: whether scales and shifts of its batch
    norms are.
    """

    epochs: float
    min_steps: int
    batch: int
    crop: int
    scale: tuple[float, float]
    lr_backbone: float
    lr_head: float
    weight_decay: float
    radius: int
    pairs: str = "all"
    colour_jitter: tuple[float, ...] = (0, 0, 0, 0)
    freeze_stages: int = 0
    freeze_norm: bool = False


def feature_size(height: int, width: int) -> tuple[int, int]:
    """The grid of the features over an image: ceil(H/8), ceil(W/8)."""
    return -(-height // STRIDE_PIXELS), -(-width // STRIDE_PIXELS)


class AffinityNet(nn.Module):
    """The last three stages of a backbone -> 64, 128, 256 channels -> 448 features at stride 8 [P, section 3.2].

    Each stage: 1×1 convolution, ELU, bilinear to one grid; together: 1×1 convolution, ELU. The batch norms' ImageNet
    statistics are kept in training.
    """

    def __init__(self, backbone: Backbone):
        super().__init__()
        self.backbone = backbone
        stages = [stage["num_chs"] for stage in backbone.feature_info][-3:]
        convolutions = [
            nn.Conv2d(inputs, outputs, 1, bias=False) for inputs, outputs in zip(stages, NUM_CHANNELS, strict=True)
        ]
        self.stages = nn.ModuleList(convolutions)
        self.last = nn.Conv2d(sum(NUM_CHANNELS), sum(NUM_CHANNELS), 1, bias=False)
        for stage in convolutions:  # as in the released code: torch's own initialisation puts all affinities near 1
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


def build_affinitynet(backbone: BackboneSettings, device: torch.device) -> AffinityNet:
    """AffinityNet on the configured backbone, channels last: twice as fast on a CPU."""
    built = build_backbone(backbone.name, backbone.weights, output_stride=16, dilated=backbone.dilated)
    model = AffinityNet(built)
    return model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch lists no such pair


def train_affinitynet(
    images: Sequence[str], targets: Sequence[str], params: Mapping, context: FitContext
) -> tuple[AffinityNet, pd.DataFrame]:
    """Train on images and their labels of `label_for_affinitynet` (paths, of PNGs or of scores) [P, section 3.2].

    The released code also doubles the rate of biases and lets them not decay, but neither its ResNet-38 nor this
    network's own layers have any. params: backbone, settings (`AffinityNetTrainingSettings`), what `corrections_of`
    reads. Returns the model and its losses by step, with `learnt` in their `attrs` (`affinity.learning`).
    """
    settings = from_section(AffinityNetTrainingSettings, params["settings"])
    torch.manual_seed(context.seed)
    model = build_affinitynet(from_section(BackboneSettings, params["backbone"]), context.device).train()
    freeze_stages(model.backbone, settings.freeze_stages)
    if settings.freeze_norm:
        freeze_norm_weights(model)
    mean = 255 * np.array(model.backbone.pretrained_cfg["mean"])

    def loss(crops: torch.Tensor, label: torch.Tensor, weight: torch.Tensor | None = None) -> dict[str, torch.Tensor]:
        batch = normalise(crops.permute(0, 3, 1, 2).float(), model.backbone)
        features = model(batch.contiguous(memory_format=torch.channels_last)).contiguous()
        return pairwise_affinity_loss(
            lambda dy, dx: feature_affinity(features, dy, dx), label, settings.radius, weight, settings.pairs
        )

    heads = [*model.stages.parameters(), *model.last.parameters()]
    history = fit(
        model,
        [
            {"params": [p for p in model.backbone.parameters() if p.requires_grad], "lr": settings.lr_backbone},
            {"params": heads, "lr": settings.lr_head},
        ],
        loss,
        len(images),
        _samples(images, targets, settings, mean, corrections_of(params)),
        context,
        batch=settings.batch,
        iterations=num_steps(len(images), settings.epochs, settings.batch, settings.min_steps),
        weight_decay=settings.weight_decay,
    )
    model.eval()
    measured = measured_images(targets, read_training_label)
    costs = (_costs(model, images[k], targets[k], settings.radius, context.device) for k in measured)
    history.attrs["learnt"] = {"section": "psa.training", "gain": measure_gain(costs)}
    return model, history


def _samples(
    images: Sequence[str],
    targets: Sequence[str],
    settings: AffinityNetTrainingSettings,
    mean: np.ndarray,
    corrections: Corrections | None,
) -> Sampler:
    """The sampler of the kind of labels that the files are of, PNGs or scores."""
    crop, scale, jitter = settings.crop, settings.scale, settings.colour_jitter
    if targets[0].endswith(".npz"):
        return score_crops(images, targets, crop, scale, mean, STRIDE_PIXELS, corrections, jitter)
    return labelled_crops(images, targets, crop, scale, mean, feature_size(crop, crop), corrections, jitter)


def _costs(model: AffinityNet, image: str, label: str, radius: int, device: torch.device) -> tuple[list, list]:
    """The `pair_costs` of what the network says of an image (a path), by its label (a path)."""
    features = torch.from_numpy(affinity_features(model, read_image(image), device))[None]
    if label.endswith(".npz"):
        on_grid = read_pooled_label(label, STRIDE_PIXELS)
    else:
        on_grid = resize_label(read_label(label), *features.shape[2:])
    points = torch.from_numpy(on_grid)[None]
    return pair_costs(lambda dy, dx: feature_affinity(features, dy, dx), points, radius)


@torch.inference_mode()
def affinity_features(model: AffinityNet, image: np.ndarray, device: torch.device) -> np.ndarray:
    """Features of an image, uint8 RGB [H, W, 3]: float32 [448, ceil(H/8), ceil(W/8)], averaged over the flip."""
    return unflip(model(scaled_and_flipped(image, 1, True, model.backbone, device)), True).cpu().numpy()


def open_affinitynet(params: Mapping, model: str, device: torch.device) -> AffinityOutput:
    """The trained network at the path `model`; params: backbone. Its output: features float16 [448, h', w']."""
    backbone = replace(from_section(BackboneSettings, params["backbone"]), weights="random")
    network = load_trained(build_affinitynet(backbone, device), model, device)

    def infer(image: np.ndarray) -> dict[str, np.ndarray]:
        return {"features": affinity_features(network, image, device).astype(np.float16)}

    return infer
