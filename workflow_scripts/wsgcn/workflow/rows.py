"""What the rows of the workflow's tables hold.

A function is named as "module:function" and imported only where a job runs it: planning imports neither torch nor
MLflow. Settings are named by dotted keys of the config. A row's `params` name the parameters of its jobs, each with the
key of the setting that it holds (several keys: a section of those alone), so that just these trigger a rerun.
"""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

Params = Mapping[str, str | tuple[str, ...]]


def load(function: str) -> Callable:
    """The function that a row names as "module:function"."""
    module, _, name = function.partition(":")
    return getattr(importlib.import_module(module), name)


def keys_of(params: Params) -> tuple[str, ...]:
    """The dotted keys of all settings in some parameters, in their order."""
    return tuple(key for keys in params.values() for key in ((keys,) if isinstance(keys, str) else keys))


@dataclass(frozen=True)
class Stage:
    """A step of the method.

    file: its file below results/<data set>/, with {folder} ("" or "<experiment>/") and, where it makes one per image,
    {image}; settings: what it reads itself; after: the stages whose files it reads; images: the list that its batch
    jobs cover (`train`, `label`, `cam` for both, `evaluate`), none for a training; history: a training's losses by
    step; named: whether its folder always carries an experiment's name.
    """

    file: str = ""
    settings: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    images: str = ""
    history: str = ""
    named: bool = False


@dataclass(frozen=True)
class Features:
    """What a training reads in place of images: `open(params, device)` returns a function from an image to arrays.

    title: of its batch jobs, in messages; the arrays are a file of the stage `features` for each image to train on.
    """

    title: str
    open: str
    params: Params


@dataclass(frozen=True)
class Training:
    """A network that is trained: `train(images, targets, params, context)` returns the model and its losses by step.

    images: the list it is trained on; labels: the stage whose labels are its targets, by default the tags; labels_of:
    the experiment whose labels these are, by default its own; facts: what its job knows of the data set, among `ids`,
    `groups` (or ids), `labels` (the tags), `classes` (their number) and `names` (theirs); features: files that it takes
    in place of the images, if any; corrections: the key of the setting that says how much corrected pixels count in its
    loss, if it can weigh them; backbone: the section of its backbone, none where it has none; stride: the backbone's
    output stride.
    """

    title: str
    train: str
    params: Params
    images: str = "train"
    labels: str = ""
    labels_of: str = ""
    facts: tuple[str, ...] = ()
    features: Features | None = None
    corrections: str = ""
    backbone: str = "backbone"
    stride: int = 16


@dataclass(frozen=True)
class CamSource:
    """Where CAMs come from: `open(params, model, device)` returns a function from a `CamInput` to (cam, high_res).

    training: the classifier it needs, if any; params: of its batch jobs; facts: what these know of the data set,
    among `classes` (their number), `names`, `numbering` and `full_sizes`; folder: the key of a folder that holds a
    .npy file per image; device: whether it runs a network; by_class: the key of a mapping from names of classes;
    within: the source whose own section chooses this one, so that `cam_source` does not.
    """

    title: str
    open: str
    params: Params
    training: Training | None = None
    facts: tuple[str, ...] = ()
    folder: str = ""
    device: bool = False
    by_class: str = ""
    within: str = ""
    rule: str = "cam"

    @property
    def chosen_by(self) -> str:
        """The key of the setting that chooses it."""
        return f"{self.within}.train" if self.within else "cam_source"


@dataclass(frozen=True)
class Affinity:
    """An affinity network: its labels from CAMs, its training on them, what it says of an image.

    `label(image, cams, keys, settings)` returns a label; `train` as in `Training`; `open(params, model, device)`
    returns a function from an image to the arrays of its affinity file, which `affinity.matrices` reads. Its settings
    are the sections `<name>.labels` and `<name>.training`. network: the name of the training's stage; boundary:
    whether its files hold a boundary map; corrections: whether `train` weighs corrections; backbone: the section of its
    backbone, none where it has none; ignores: settings of the refinement that it leaves without effect; network_params:
    further parameters of `train` and `open` both; open_params: of `open` alone; label_suffix: of the files of its
    labels: `png`, or `npz` for arrays that `label` returns by name, then also of an image without a class.
    """

    title: str
    network: str
    label: str
    train: str
    open: str
    boundary: bool = False
    corrections: bool = False
    backbone: str = "backbone"
    ignores: tuple[str, ...] = ()
    label_suffix: Callable[[Mapping], str] = lambda settings: "png"
    network_params: Params = field(default_factory=dict)
    open_params: Params = field(default_factory=dict)


INPUTS = {"cam": "cams", "affinity": "affinities", "partial": "labels", "image": "images"}
"""What a refiner can read, a stage's file (`affinity`: the chosen network's) or the image itself; the rule's inputs.

The image is read last, so that what an earlier stage skipped keeps its reason."""


@dataclass(frozen=True)
class Refiner:
    """What makes complete scores: `refine(images, params, device)` takes `RefinerInput`s and returns `Refined` ones.

    title: its short name in pictures; reads: what it knows of an image, among `INPUTS`; params: of its jobs; protocol:
    what made a label, in words, with the settings as format fields; device: whether it runs a network; losses: whether
    its files hold loss curves; facts: what its jobs know of the data set beside the images' classes; background: the
    background score that its scores compete with, if it is a constant; ignores: settings without effect beside the
    others.
    """

    title: str
    refine: str
    reads: tuple[str, ...]
    params: Params
    protocol: str
    device: bool = False
    losses: bool = False
    facts: Callable[[Mapping], tuple[str, ...]] = lambda settings: ()
    background: Callable[[Mapping], float | None] = lambda settings: None
    ignores: Callable[[Mapping], set[str]] = lambda settings: set()
    rule: str = "refine"


@dataclass(frozen=True)
class SegmentationNetwork:
    """A segmentation network: `training` on pseudo labels, and predictions.

    `open(params, model, device)` returns a function (image, scales, flip) -> probabilities [C + 1, H, W]. params: of
    the jobs that predict, beside `segmentation.prediction`. network: `network(params, model)` returns the network that
    is exported to ONNX, from colours in 0..255 [B, 3, H, W] to logits [B, C + 1, h, w]; "" where there is none.
    """

    title: str
    training: Training
    open: str
    params: Params = field(default_factory=dict)
    network: str = ""


@dataclass(frozen=True)
class Reader:
    """A layout of data sets: `read(settings, seed, results, note)` returns a `Dataset`.

    drawn: whether the workflow draws the images itself; paint: where its masks are not files of the user but painted
    by jobs, `paint(outputs, params)`, with `sources` and `digest` of `Layout.painting` among params.
    """

    title: str
    read: str
    drawn: bool = False
    paint: str = ""


@dataclass(frozen=True)
class Exporter:
    """A format of other tools: `write(outputs, images, classes, params)` and `read(returned, known, note)`, as in
    `exporting.contract`.

    files: the names of what it writes below results/<data set>/export/, the first what `read` takes; name_problem: why
    a class's name cannot be written, if some cannot.
    """

    title: str
    files: tuple[str, ...]
    write: str
    read: str
    params: Params = field(default_factory=dict)
    name_problem: str = ""


@dataclass(frozen=True)
class Evaluation:
    """Labels that are compared with the truth.

    stage: whose folder the evaluation goes by; files: the stage whose files are read; images: the list; timed: the
    stage and list whose tables of seconds count; protocol: how the labels came about, from the settings; needs_masks:
    whether its labels are made only to be compared, so that there are none without masks.
    """

    stage: str
    files: str
    images: str
    protocol: Callable[[Mapping], str]
    timed: tuple[str, str] | None = None
    background: Callable[[Mapping], float | None] = lambda settings: None
    needs_masks: bool = False


@dataclass(frozen=True)
class Tracked:
    """What is one child run in MLflow.

    stage: whose folder it goes by; settings: what is logged, from the settings; evaluations: those that belong to it;
    training: the stage of the training that it reports, if any; labels: the stage that made the training's labels.
    """

    stage: str
    settings: Callable[[Mapping], tuple[str, ...]]
    evaluations: tuple[str, ...] = ()
    training: str = ""
    labels: str = ""
