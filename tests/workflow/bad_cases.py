"""What a user may get wrong: functions that write it, by section and row of docs/bad-inputs.md."""

from datetime import date

import numpy as np
from PIL import Image
from small_folder import (
    CAT,
    ROWS,
    combine,
    copy_image,
    evaluate_alone,
    predict,
    remove,
    rename,
    set_key,
    truncate,
    turn,
    write,
    write_correction,
    write_frames,
    write_image,
    write_list,
    write_mask,
    write_table,
)

CASES = {
    "Settings": {
        "unknown key": set_key("refine.lamda_ent", 1),
        "unknown section": set_key("refinment", {}),
        "wrong type": set_key("batch_size", 32.5),
        "not a number": set_key("refine.lr", float("nan")),
        "text for a number": set_key("refine.lr", "high"),
        "out of range": set_key("refine.dropout", 1.5),
        "descending range": set_key("irnet.training.scale", [1.5, 0.5]),
        "not one of the choices": set_key("affinity", "irn"),
        "unknown kind of data set": set_key("dataset.kind", "folders"),
        "unknown refinement": set_key("refinement", "random-walk"),
        "name that is a path": set_key("dataset.name", "../elsewhere"),
        "name that is taken in results/": set_key("dataset.name", "mlflow.db"),
        "name that is too long for a folder": set_key("experiment", "x" * 101),
        "name of a file": set_key("experiments", {"store.json": {}}),
        "unknown format of export": set_key("export", ["labelme"]),
        "class that a format cannot hold": combine(
            set_key("export", ["cvat"]), write_table("a.png,cat\nb.png,dog:1\n")
        ),
        "unknown stage of a cluster": set_key("cluster.stages.refined", {"mem_mb": 9000}),
        "unknown demand on a cluster": set_key("cluster.stages.refine", {"memory": 9000}),
        "folder of corrections that is the one of the masks": set_key("dataset.corrections", "masks"),
        "path with a wildcard of Snakemake": set_key("cam.folder", "cams/{a}"),
        "list with a wildcard of Snakemake": set_key("dataset.label", "{a}.txt"),
        "deviation too small for a CRF": set_key("pseudo.crf.gaussian_sxy", 1e-9),
        "unknown backend of the CRF": set_key("crf_backend", "cython"),
        "no backend of the CRF": set_key("crf_backend", None),
        "number for the backend of the CRF": set_key("crf_backend", 1),
        "seed too large for torch": set_key("seed", 2**64),
        "date for a number": set_key("refine.lr", date(2021, 1, 1)),
        "experiment that changes a common setting": set_key("experiments.mine", {"device": "cpu"}),
        "experiment with an unknown key": set_key("experiments.mine", {"refine": {"sigma": 2}}),
        "sweep of an unknown key": set_key("sweeps", {"refine.sigma3": [1]}),
        "sweep whose value cannot be part of a name": set_key("sweeps", {"cam.scales": [[1, 2]]}),
        "two experiments with the same name": set_key("sweeps", {"refine.sigma1": [1, 1]}),
        "choice of a setting on which no label depends": set_key("choose", {"background_score": [0.2]}),
        "unknown rule of a choice": set_key("choose_by", "thruth"),
        "choice by masks that are not there": combine(set_key("choose", {"seed": [1]}), set_key("choose_by", "truth")),
        "choice by a walk without affinities": combine(
            set_key("choose", {"refinement": ["none"]}), set_key("choose_by", "walk_agreement")
        ),
        "choice of the last CRF by what it changes": combine(
            set_key("choose", {"pseudo.crf_input": ["double_softmax"]}), set_key("choose_by", "crf_agreement")
        ),
        "review by a walk without affinities": combine(
            set_key("refinement", "none"), set_key("review.score", "walk_agreement")
        ),
        "comparison with an unknown experiment": set_key("against", {"wsgcn-p": "psa-walk"}),
        "segmentation for an unknown experiment": set_key("segmentation_for", ["wsgcn-q"]),
        "several problems, of the base and of experiments": combine(
            set_key("seeds", 1),
            set_key("refine.epochs", 0),
            set_key("segmentation.training.batch", 1.5),
            set_key("experiments.mine", {"refine": {"lamda_ent": 1}}),
            set_key("sweeps", {"refine.sigma3": [1]}),
        ),
    },
    "Folder to segment": {
        "folder that is missing": predict("new"),
        "a file in place of the folder": predict("labels.csv"),
        "number for the folder": set_key("predict", 5),
        "no image in it": predict("masks"),
        "path with a wildcard": predict("{new}"),
        "two images with the same name": predict("new", "a.png", "a.jpg"),
        "name that is not allowed": predict("new", "a.png", "b:c.png"),
        "broken image": combine(predict("new", "a.png", "b.png"), truncate("new/b.png")),
        "nothing but broken images, to be skipped": combine(
            predict("new", "a.png"), truncate("new/a.png"), set_key("on_error", "skip")
        ),
        "several problems, of the folder and of the data set": combine(
            predict("new", "a.png", "a.jpg"), write_table("a.png,Cat\nb.png,cat\n")
        ),
    },
    "Lists and tags": {
        "no labels.csv": remove("labels.csv"),
        "a folder instead of labels.csv": combine(
            remove("labels.csv"), lambda config, root: (root / "labels.csv").mkdir()
        ),
        "other columns": write("labels.csv", "file,tags\na.png,cat\n"),
        "a column for each class": write("labels.csv", "image,classes,classes_2\na.png,cat,dog\nb.png,dog,\n"),
        "a column listed twice": write("labels.csv", "image,classes,classes\na.png,cat,dog\n"),
        "another encoding (Latin-1)": write("labels.csv", "image,classes\na.png,café\n".encode("latin-1")),
        "another encoding (UTF-16 without its mark)": write(
            "labels.csv", "image,classes\na.png,cat\n".encode("utf-16-le")
        ),
        "an Excel workbook": write("labels.csv", b"PK\x03\x04" + bytes(range(128, 200))),
        "the table in another letter case": combine(
            remove("labels.csv"), write("Labels.csv", f"image,classes\n{ROWS}")
        ),
        "quotation mark that is never closed": write_table('a.png,"cat\nb.png,dog\n'),
        "quotation mark that is closed lines later": write_table('a.png,"cat\nb.png,dog"\n'),
        "text after a quotation mark": write_table('a.png,"cat" dog\n'),
        "separated by semicolons, classes by commas": write("labels.csv", "image;classes\na.png;cat,dog\n"),
        "classes separated by bars": write_table("a.png,cat|dog\nb.png,dog\n"),
        "classes separated by commas, quoted": write_table('a.png,"cat,dog"\nb.png,dog\n'),
        "classes separated by slashes": write_table("a.png,cat/dog\nb.png,dog\nc.png,cat\n"),
        "classes separated by line breaks": write_table('a.png,"cat\ndog"\nb.png,dog\n'),
        "a broken list": write_table("a.png,['cat\nb.png,dog\n"),
        "a quotation mark within a tag": write_table("a.png,“cat”\nb.png,dog\n"),
        "tags that differ in case": write_table("a.png,Cat\nb.png,cat\n"),
        "tags that differ in what stands between words": write_table("a.png,leaf-rust\nb.png,leaf rust\n"),
        "tags with letters of another script": write_table("a.png,cat\nb.png,c\u0430t\n"),
        "words that mean none": write_table("a.png,nan\nb.png,None\nc.png,[]\n"),
        "a control character": write("labels.csv", b"image,classes\na.png,c\0at\nb.png,dog\n"),
        "no rows": write_table(""),
        "row without an image": write_table("a.png,cat\n,dog\n"),
        "classes separated by commas": write_table("a.png,cat,dog\nb.png,dog\n"),
        "tag of negatives that no image has": set_key("dataset.negative", "ct"),
        "tag of negatives that is a class": combine(
            set_key("dataset.negative", "cat"), set_key("dataset.classes", ["cat", "dog"])
        ),
        "tag of negatives beside a class": set_key("dataset.negative", "cat"),
        "two columns of groups": write("labels.csv", "image,classes,group,group\na.png,cat,1,2\nb.png,dog,1,2\n"),
        "group that lists split": combine(
            write("labels.csv", "image,classes,group\na.png,cat,1\nb.png,dog,1\n"),
            evaluate_alone("b"),
            write("b.txt", "b"),
            set_key("dataset.evaluate", "b.txt"),
        ),
        "share beside a list": combine(evaluate_alone("b"), set_key("dataset.evaluate", "20%")),
        "share of nothing": set_key("dataset.evaluate", "0%"),
        "share of one image": combine(write_table("a.png,cat\n"), set_key("dataset.evaluate", "20%")),
        "image listed twice": write_table(ROWS + "a.png,dog\n"),
        "two images with the same name": write_table(ROWS + "more/a.jpg,dog\n"),
        "path outside of the folder": write_table(ROWS + "../c.png,dog\n"),
        "absolute path": write_table(ROWS + "/c.png,dog\n"),
        "name with a wildcard": write_table(ROWS + "{c}.png,dog\n"),
        "path with a wildcard": write_table(ROWS + "{more}/c.png,dog\n"),
        "hidden file": write_table(ROWS + ".c.png,dog\n"),
        "name that is too long": write_table(ROWS + f"{'c' * 250}.png,dog\n"),
        "unknown class": combine(set_key("dataset.classes", ["cat", "horse"])),
        "class whose name is too long": write_table(f"a.png,{'cat' * 40}\nb.png,dog\n"),
        "class with a wildcard": write_table("a.png,{cat}\nb.png,dog\n"),
        "class named background": write_table("a.png,cat;background\nb.png,dog\n"),
        "class in the wrong case": combine(set_key("dataset.classes", ["Cat", "dog"])),
        "list that is missing": set_key("dataset.train", "none.txt"),
        "empty list": write_list("\n"),
        "list with an image that is not in the table": write_list("a\nbb\n"),
        "list of two columns": write_list("a 1\nb -1\n"),
        "list of images and masks": write_list("a.png,masks/a.png\nb.png,masks/b.png\n"),
        "list with an image twice": write_list("a\na\n"),
        "list with an image and its file": write_list("a\na.png\n"),
        "list whose name is too long for a file": set_key("dataset.train", f"{'x' * 300}/a.txt"),
    },
    "Images and masks": {
        "missing image": remove("a.png"),
        "missing images": combine(remove("a.png"), remove("b.png")),
        "missing weights": set_key("backbone.weights", "none.pt"),
        "class of a share that there is not": combine(
            set_key("cam_source", "mil"), set_key("mil.top_of", {"dgo": 0.1})
        ),
        "class of a share that is a number": combine(set_key("cam_source", "mil"), set_key("mil.top_of", {1: 0.1})),
        "second round on labels of its own": combine(
            set_key("cam_source", "self_training"), set_key("experiments.first-round", {"refine": {"epochs": 9}})
        ),
        "missing CAMs": set_key("cam.folder", "elsewhere"),
        "truncated image": truncate("a.png"),
        "file that is not an image": write("a.png", "a text"),
        "image of 32 bits": write_image("a.png", np.full((12, 16), 220, np.int32), "TIFF"),
        "image of floating point": write_image("a.png", np.full((12, 16), 0.5, np.float32), "TIFF"),
        "mask of another size": write_mask("a.png", np.zeros((5, 5), np.uint8)),
        "mask with a value of no class": write_mask("a.png", np.full((12, 16), 9, np.uint8)),
        "truncated mask": combine(write_mask("a.png", np.zeros((12, 16), np.uint8)), write("masks/a.png", b"\x89PNG")),
        "mask in RGB": lambda config, root: Image.new("RGB", (16, 12)).save(root / "masks/a.png"),
        "black and white masks": combine(
            *(write_mask(f"{name}.png", np.resize([0, 255], (12, 16)).astype(np.uint8)) for name in "ab")
        ),
        "black and white masks, one of them empty": combine(
            write_mask("a.png", np.resize([0, 255], (12, 16)).astype(np.uint8)),
            write_mask("b.png", np.zeros((12, 16), np.uint8)),
        ),
        "masks of another numbering": combine(
            write_table("a.png,cat\nb.png,dog\n"),
            write_mask("a.png", np.full((12, 16), 2, np.uint8)),
            write_mask("b.png", np.full((12, 16), 1, np.uint8)),
        ),
        "mask of an image that EXIF turns": combine(
            turn("a.png", 6), write_mask("a.png", np.zeros((12, 16), np.uint8))
        ),
        "image in another folder": combine(
            remove("a.png"), write_image("masks/a.png", np.zeros((12, 16), np.uint8), "PNG")
        ),
        "several problems": combine(
            write_table("a.png,cat\nb.png,dgo\nc.png,\n"),
            set_key("dataset.classes", ["cat", "dog"]),
            set_key("dataset.negative", "none here"),
            truncate("a.png"),
        ),
        "no image left after skipping": combine(set_key("on_error", "skip"), truncate("a.png"), truncate("b.png")),
        "several problems, of settings, tags, images and masks": combine(
            set_key("refine.lr", 0),
            write_table("a.png,cat\nb.png,dog;\u2028\n"),
            truncate("a.png"),
            write_mask("b.png", np.zeros((5, 5), np.uint8)),
        ),
        "several problems, also of networks": combine(
            truncate("a.png"), remove("b.png"), set_key("backbone.name", "resnet5")
        ),
        "several problems, images skipped": combine(
            set_key("on_error", "skip"),
            set_key("backbone.weights", "none.pt"),
            write_table("a.png,cat\nb.png,dog\nc.png,dog\n"),
            truncate("a.png"),
            write_mask("b.png", np.zeros((5, 5), np.uint8)),
        ),
    },
    "Corrections": {
        "correction of another size": write_correction("a.png", np.zeros((5, 5), np.uint8)),
        "correction with a value of no class": write_correction("a.png", np.full((12, 16), 9, np.uint8)),
        "correction of no image": write_correction("aa.png", CAT),
        "correction that is no PNG": combine(
            write_correction("a.png", CAT), rename("corrections/a.png", "corrections/b.bmp")
        ),
        "correction in RGB": combine(
            write_correction("b.png", CAT),
            lambda config, root: Image.new("RGB", (16, 12)).save(root / "corrections/a.png"),
        ),
        "truncated correction": combine(write_correction("a.png", CAT), write("corrections/a.png", b"\x89PNG")),
        "several problems, of settings, masks and corrections": combine(
            set_key("refine.lr", 0),
            write_mask("b.png", np.zeros((5, 5), np.uint8)),
            write_correction("a.png", np.zeros((5, 5), np.uint8)),
            write_correction("c.png", CAT),
        ),
    },
}

ACCEPTED = {  # what is read, and which sentence the start's list has
    "tag that is left out on purpose": combine(
        set_key("dataset.ignore", ["dog"]), write_table("a.png,cat\nb.png,cat;dog\n")
    ),
    "images without a class": write_table("a.png,cat\nb.png,\n"),
    "correction with a class that is no tag": write_correction("a.png", 2 * CAT),
    "tag that stands for no class": combine(
        set_key("dataset.negative", "normal"), write_table("a.png,cat\nb.png,\nc.png,normal\n"), copy_image("c.png")
    ),
    "image of other things alone": combine(set_key("dataset.ignore", ["dog"]), write_table("a.png,cat\nb.png,dog\n")),
    "share that is held out": combine(
        write_table("a.png,cat\nb.png,cat\nc.png,cat\n"), copy_image("c.png"), set_key("dataset.evaluate", "33%")
    ),
    "word that means none": combine(write_table("a.png,cat\nb.png,None\n"), evaluate_alone("b")),
    "word that means none, beside a class": write_table("a.png,cat;NaN\nb.png,dog\n"),
    "list that means none": combine(write_table("a.png,cat\nb.png,[]\n"), evaluate_alone("b")),
    "image in another letter case": rename("a.png", "A.PNG"),
    "image with another extension": rename("a.png", "a.tiff"),
    "image with blanks of another kind": combine(
        write_table("a b.png,cat\nb.png,dog\n"), rename("a.png", "a\u00a0b.png")
    ),
    "image whose letters are decomposed": combine(
        write_table("é.png,cat\nb.png,dog\n"), rename("a.png", "e\u0301.png")
    ),
    "image of several frames": write_frames("a.png"),
    "images that are all grey": combine(*(write_image(f"{name}.png", CAT, "PNG") for name in "ab")),
    "image that EXIF turns, with a mask": combine(turn("a.png", 3), *(write_mask(f"{n}.png", CAT) for n in "ab")),
    "masks of some images": write_mask("a.png", CAT),
    "masks of no image": combine(*(write_mask(f"{n}.png", CAT) for n in ("a", "b", "b_mask"))),
    "folder of masks under another name": lambda config, root: (root / "masks").rename(root / "mask"),
    "masks that disagree with tags": combine(*(write_mask(f"{n}.png", CAT) for n in "ab")),
}
