"""IRNet's boundary branch: its labels from CAMs, the network, pairwise affinity from boundaries, its training.

Source: Ahn, Cho & Kwak, Weakly supervised learning of instance segmentation with inter-pixel relations, CVPR 2019,
section 4, and its released code. The displacement field serves instances and is left out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import nn

from wsgcn.affinity.contract import AffinityOutput
from wsgcn.affinity.learning import measured_images
from wsgcn.affinity.pair_loss import measure_gain, pair_costs, pairwise_affinity_loss
from wsgcn.data.augment import resize_label
from wsgcn.files import read_image, read_label
from wsgcn.graph.grid import grid_size, path_maximum
from wsgcn.networks.backbone import Backbone, BackboneSettings, build_backbone, normalise
from wsgcn.networks.inference import load_trained, scaled_and_flipped, unflip
from wsgcn.networks.samples import corrections_of, labelled_crops
from wsgcn.networks.schedule import num_steps
from wsgcn.networks.training import FitContext, fit
from wsgcn.sections import from_section

CELL_PIXELS = 16
"""Side of a cell of the backbone's final feature map [pixels]."""


@dataclass(frozen=True)
class IrnetTrainingSettings:
    """The `irnet.training` section: crop [pixels], scale: range of the random scaling, radius of the pairs [nodes].

    pairs: `all`, or `inner` (`pair_loss.pair_costs`).
    """

    epochs: float
    min_steps: int
    batch: int
    crop: int
    scale: tuple[float, float]
    lr: float
    weight_decay: float
    radius: int
    pairs: str = "all"


@dataclass(frozen=True)
class BoundarySettings:
    """Of the `irnet` section: where the branch reads the backbone, and how it is applied to an image.

    first_stage: `unpooled`, the stem's output at stride 2, or `pooled`, after ResNet's max pooling, at stride 4;
    pad_to: side that an image is padded to [pixels], 0 for none (`boundary_and_features`); flip_mean: of
    `probabilities` or of `logits` of the image and its mirror image. The released code has `pooled`, 512 and `logits`.
    """

    first_stage: str = "unpooled"
    pad_to: int = 0
    flip_mean: str = "probabilities"


def boundary_settings(params: Mapping) -> BoundarySettings:
    """Those of a job's parameters, which do not name the ones that have their default."""
    names = {field.name for field in fields(BoundarySettings)}
    return BoundarySettings(**{name: params[name] for name in names & set(params.keys())})


def affinity_loss(
    boundary: torch.Tensor, label: torch.Tensor, radius: int, weight: torch.Tensor | None = None, pairs: str = "all"
) -> dict[str, torch.Tensor]:
    """`pairwise_affinity_loss` of affinities 1 - path maximum [I, equation 8]; boundary: [B, h, w] in 0..1."""
    return pairwise_affinity_loss(lambda dy, dx: 1 - path_maximum(boundary, dy, dx), label, radius, weight, pairs)


class BoundaryNet(nn.Module):
    """Five stages of a frozen backbone -> 32 channels each at stride 4 -> 160 node features -> boundary map [I].

    Each stage: 1×1 convolution, GroupNorm(4), bilinear to the grid, ReLU. Only this branch is trained.
    """

    def __init__(self, backbone: Backbone, first_stage: str = "unpooled"):
        super().__init__()
        self.backbone = backbone.requires_grad_(False).eval()
        self.first_stage = first_stage
        channels = [stage["num_chs"] for stage in backbone.feature_info]
        self.stages = nn.ModuleList(
            nn.Sequential(nn.Conv2d(c, 32, 1, bias=False), nn.GroupNorm(4, 32)) for c in channels
        )
        self.last = nn.Conv2d(32 * len(channels), 1, 1)

    def train(self, mode: bool = True):
        super().train(mode)
        self.backbone.eval()
        return self

    def features(self, images: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        """Normalised images [B, 3, H, W] to the node features [B, 160, h, w] on a grid of `size`."""
        with torch.no_grad():
            maps = self.backbone.forward_intermediates(images, intermediates_only=True)
        if self.first_stage == "pooled":
            maps[0] = F.max_pool2d(maps[0], 3, stride=2, padding=1)
        resized = [
            F.relu(F.interpolate(stage(m), size, mode="bilinear", align_corners=False))
            for stage, m in zip(self.stages, maps, strict=True)
        ]
        return torch.cat(resized, 1)

    def boundary(self, features: torch.Tensor) -> torch.Tensor:
        """Node features [B, 160, h, w] to boundary probabilities [B, h, w]."""
        return torch.sigmoid(self.last(features))[:, 0]


def build_boundary_net(backbone: BackboneSettings, device: torch.device, first_stage: str = "unpooled") -> BoundaryNet:
    """The boundary branch over the configured backbone, which keeps its initial (ImageNet) weights.

    first_stage: as in `BoundarySettings`.
    """
    frozen = build_backbone(backbone.name, backbone.weights, output_stride=CELL_PIXELS, dilated=backbone.dilated)
    return BoundaryNet(frozen.to(device, memory_format=torch.channels_last), first_stage).to(device)


def train_boundary(
    images: Sequence[str], targets: Sequence[str], params: Mapping, context: FitContext
) -> tuple[BoundaryNet, pd.DataFrame]:
    """Train the branch on images and their labels of `label_for_irnet` (paths) [I, section 4.3].

    params: backbone, settings (`IrnetTrainingSettings`), first_stage of `BoundarySettings`, what `corrections_of`
    reads. Returns the model and its losses by step, with `learnt` in their `attrs` (`affinity.learning`).

    The released code passes its weight decay to SGD as the momentum too, 1e-4, which is left out here.
    """
    settings = from_section(IrnetTrainingSettings, params["settings"])
    torch.manual_seed(context.seed)
    backbone, first_stage = from_section(BackboneSettings, params["backbone"]), boundary_settings(params).first_stage
    model = build_boundary_net(backbone, context.device, first_stage)
    mean = 255 * np.array(model.backbone.pretrained_cfg["mean"])
    h, w = grid_size(settings.crop, settings.crop)

    def loss(crops: torch.Tensor, label: torch.Tensor, weight: torch.Tensor | None = None) -> dict[str, torch.Tensor]:
        batch = normalise(crops.permute(0, 3, 1, 2).float(), model.backbone)
        boundary = model.boundary(model.features(batch, (h, w)))
        return affinity_loss(boundary, label, settings.radius, weight, settings.pairs)

    history = fit(
        model,
        [{"params": [p for p in model.parameters() if p.requires_grad], "lr": settings.lr}],
        loss,
        len(images),
        labelled_crops(images, targets, settings.crop, settings.scale, mean, (h, w), corrections_of(params)),
        context,
        batch=settings.batch,
        iterations=num_steps(len(images), settings.epochs, settings.batch, settings.min_steps),
        weight_decay=settings.weight_decay,
    )
    model.eval()
    measured = measured_images(targets)
    costs = (_costs(model, images[k], targets[k], settings.radius, context.device) for k in measured)
    history.attrs["learnt"] = {"section": "irnet.training", "gain": measure_gain(costs)}
    return model, history


def _costs(model: BoundaryNet, image: str, label: str, radius: int, device: torch.device) -> tuple[list, list]:
    """The `pair_costs` of what the branch says of an image (a path) as it is, unpadded, by its label (a path)."""
    boundary, _ = boundary_and_features(model, read_image(image), device)
    points = torch.from_numpy(resize_label(read_label(label), *boundary.shape))[None]
    found = torch.from_numpy(boundary)[None]
    return pair_costs(lambda dy, dx: 1 - path_maximum(found, dy, dx), points, radius)


@torch.inference_mode()
def boundary_and_features(
    model: BoundaryNet, image: np.ndarray, device: torch.device, settings: BoundarySettings | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Boundary map float32 [h, w] in 0..1 and node features float32 [160, h, w], both averaged over the flip [I].

    image: uint8 RGB [H, W, 3]; settings: all defaults where None. With `pad_to`, the normalised image and its mirror
    image are padded with zeros on the right and below to that side, or to the next multiple of 16 of a longer one, and
    the maps of the padded image are cut to the grid. Zeros enter the group norms. The released code pads to 512 and
    fails on larger images, of which VOC has none.
    """
    settings = settings or BoundarySettings()
    batch, (h, w) = scaled_and_flipped(image, 1, True, model.backbone, device), grid_size(*image.shape[:2])
    if settings.pad_to:
        height, width = (max(settings.pad_to, side) for side in image.shape[:2])
        height, width = (-(-side // CELL_PIXELS) * CELL_PIXELS for side in (height, width))
        batch = F.pad(batch, (0, width - batch.shape[3], 0, height - batch.shape[2]))
    features = model.features(batch, grid_size(*batch.shape[2:]))[..., :h, :w]
    if settings.flip_mean == "logits":
        boundary = torch.sigmoid(unflip(model.last(features), True))[0]
    else:
        boundary = unflip(model.boundary(features)[:, None], True)[0]
    return boundary.cpu().numpy(), unflip(features, True).cpu().numpy()


def open_boundary_net(params: Mapping, model: str, device: torch.device) -> AffinityOutput:
    """The trained network at the path `model`; params: backbone, what `boundary_settings` reads.

    Its output: boundary float32 [h, w], features float16 [160, h, w], weight float32 [160] of the boundary layer.
    """
    backbone = replace(from_section(BackboneSettings, params["backbone"]), weights="random")
    settings = boundary_settings(params)
    network = load_trained(build_boundary_net(backbone, device, settings.first_stage), model, device)
    weight = network.last.weight.detach().cpu().numpy().ravel()

    def infer(image: np.ndarray) -> dict[str, np.ndarray]:
        boundary, features = boundary_and_features(network, image, device, settings)
        return {"boundary": boundary, "features": features.astype(np.float16), "weight": weight}

    return infer
