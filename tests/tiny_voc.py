"""A tiny VOC tree, experiments of each kind on it, and what a dry run plans."""

import re
from pathlib import Path

import numpy as np
from tiny_project import copy_workflow, snakemake, write_config

from wsgcn.data import demo_scenes as demo
from wsgcn.data.readers.voc import VOC_CLASSES
from wsgcn.files import read_label, write_label

# Replaces those of config.yaml: one of each kind.
EXPERIMENTS = {
    "wsgcn-p": {"affinity": "psa"},
    "walk": {"refinement": "random_walk"},
    "psa-walk": {"affinity": "psa", "refinement": "random_walk", "random_walk": {"background": "channel"}},
    "cam-only": {"refinement": "none"},
    "no-entropy": {"refine": {"lambda_ent": 0}},
}
WITHOUT_NETWORKS = ("walk", "psa-walk", "cam-only")
SWEEPS = {"partial.confident_ratio": [0.3, 0.6]}  # the first is the base's
AGAINST = {"wsgcn-p": "psa-walk"}
NAMED = ["wsgcn-i", *EXPERIMENTS, "confident_ratio-0.6"]

AFTER_REFINEMENT = {
    "evaluate_refined",
    "evaluate_refined_crf",
    "segmentation",
    "register_model",
    "predict",
    "evaluate_segmentation_single",
    "evaluate_segmentation_multi",
    "evaluate_segmentation_multi_crf",
    "track_refine",
    "track_pseudo",
    "track_segmentation",
    "report",
    "summary",
    "all",
}


def planned(folder: Path, *arguments: str, uri: str | None = None) -> set[str]:
    """The names of the rules that a dry run would execute."""
    output = snakemake(folder, "--dry-run", *arguments, uri=uri)
    table = re.search(r"Job stats:\njob +count\n[- ]+\n(.*?)\ntotal", output, re.DOTALL)
    return {line.split()[0] for line in table[1].splitlines()} if table else set()


def stages(rules: set[str]) -> set[str]:
    """Rules without their experiment and batch: refine_walk_train_01 and refine_train_1 are both refine."""
    names = "|".join([*NAMED, "no-laplacian"])
    return {re.sub(rf"(_with)?_({names})(?=_|$)|_(train|new)_(all|[01]+)$", "", rule) for rule in rules}


# The demo's classes under names of VOC's.
NAMES = dict(zip(demo.CLASSES, ("boat", "car", "cat", "chair", "person"), strict=True))
IDS = list(demo.plan("train", 13, 0))
TRAIN, LABEL, MORE = IDS[:10], IDS[:12], IDS[12:]


def draw_voc(root: Path) -> None:
    """A VOC tree of drawn images: ten to train on, two more to label, one in no list yet, four to evaluate."""
    values = np.arange(256, dtype=np.uint8)
    for k, name in enumerate(demo.CLASSES, start=1):
        values[k] = 1 + VOC_CLASSES.index(NAMES[name])
    val = demo.plan("val", 4, 0)
    for image, classes in (demo.plan("train", 13, 0) | val).items():
        demo.write(root, image, classes, seed=0, size=80)
        mask, annotation = root / f"SegmentationClass/{image}.png", root / f"Annotations/{image}.xml"
        write_label(mask, values[read_label(mask)])
        annotation.write_text(
            re.sub(r"<name>(\w+)</name>", lambda m: f"<name>{NAMES[m[1]]}</name>", annotation.read_text())
        )
    lists = root / "ImageSets/Segmentation"
    lists.mkdir(parents=True)
    for name, ids in (("train", TRAIN), ("label", LABEL), ("val", val)):
        (lists / f"{name}.txt").write_text("\n".join(ids) + "\n")


def set_up_project(folder: Path, **settings) -> None:
    """A clone with the tree, in which nothing has run yet."""
    copy_workflow(folder)
    draw_voc(folder / "data")
    dataset = {"name": "tiny", "kind": "voc", "root": "data", "classes": list(NAMES.values()), "label": "label"}
    write_config(folder, {"dataset": dataset} | settings)


def make_project(folder: Path) -> None:
    """A clone in which all experiments have run once on the tree."""
    set_up_project(folder, experiments=EXPERIMENTS, sweeps=SWEEPS, against=AGAINST)
    snakemake(folder, "all", "ablations")
