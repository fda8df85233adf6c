"""The workflow as a module of another one, and run from another folder."""

from tiny_project import ROOT, TINY, copy_workflow, snakemake

from wsgcn.files import read_label

OUTER = """
module wsgcn:
    snakefile: "{snakefile}"
    config: {config}


use rule * from wsgcn as wsgcn_*


rule count:
    default_target: True
    input:
        rules.wsgcn_labels.input,
    output:
        "count.txt",
    shell:
        "ls results/demo/pseudo/wsgcn-i | wc -l > {{output}}"


onstart:
    wsgcn.before_first_job()
"""


def test_another_workflow_uses_all_rules_under_a_prefix(tmp_path):
    """Its config is laid over config.yaml; the checks before the first job run where it asks for them."""
    few = {"demo_train": 6, "demo_val": 2, "demo_size": 64}
    config = {**TINY, "dataset": few, "experiments": {"no-entropy": None}}
    (tmp_path / "Snakefile").write_text(OUTER.format(snakefile=ROOT / "Snakefile", config=config))
    output = snakemake(tmp_path)
    assert int((tmp_path / "count.txt").read_text()) == 6
    assert all(read_label(path).ndim == 2 for path in (tmp_path / "results/demo/pseudo/wsgcn-i").glob("*.png"))
    assert "classifier: 6 images are trained on for 1 steps" in output
    assert "Nothing to be done" in snakemake(tmp_path, "--dry-run")


def test_it_runs_from_and_in_other_folders(tmp_path):
    clone, work = tmp_path / "clone", tmp_path / "work"
    copy_workflow(clone)
    (clone / "config.yaml").write_text((ROOT / "config.yaml").read_text())
    work.mkdir()
    image = "results/demo/voc/JPEGImages/train_0000.jpg"
    snakemake(tmp_path, "-s", "clone/Snakefile", "--directory", "work", "--", image)
    assert (work / image).is_file() and not (clone / "results").exists()
    (work / "config.yaml").write_text((ROOT / "config.yaml").read_text().replace("name: demo ", "name: mine "))
    assert "results/mine/" in snakemake(work, "-s", str(clone / "Snakefile"), "-n", "--quiet", "host")
