"""Names of classes that a format cannot hold. Read while Snakemake plans, so apart from the formats."""


def cvat_name_problem(name: str) -> str | None:
    """Why a class cannot be a line of CVAT's labelmap.txt, as the end of a sentence; None where it can."""
    if ":" in name or name.startswith("#"):
        return "has a colon or starts with #, which CVAT's labelmap.txt cannot hold"
    return None
