"""The text that an experiment ends with on the terminal."""

from collections.abc import Mapping, Sequence

from wsgcn.evaluation.names import BASELINE
from wsgcn.reporting.tables import format_table, is_known

MAX_SHARE_WITHOUT_BACKGROUND = 0.2
"""Above this share of partial labels without background there is a warning: close-ups alone do not explain more."""


def format_summary(
    title: str,
    evaluations: Sequence[Mapping],
    minutes: Mapping[str, float],
    locations: Mapping[str, str],
    skipped: Mapping[str, str],
    missing: Mapping[str, str],
    warnings: Sequence[str] = (),
) -> str:
    """The table of stages, minutes of training by stage, where the results are ({what: where}), and skipped images.

    skipped: {id: why}, where `why` begins with the rule that skipped the image; missing: those that could not be read
    before any rule ran; warnings: sentences on trainings that taught nothing.
    """
    trained = ", ".join(f"{stage} {value:.1f}" for stage, value in minutes.items())
    lines = [title, "", format_table(evaluations), "", f"minutes of training: {trained}", ""]
    lines += _against_baseline(evaluations)
    lines += [*warnings, ""] if warnings else []
    lines += _background_warning(evaluations)
    lines += [f"{what:<10}{where}" for what, where in locations.items()]
    if skipped:
        lines += ["", f"skipped {len(skipped)} image(s)", *(f"{image}: {why}" for image, why in skipped.items())]
        rules = sorted({why.split(":")[0] for why in skipped.values() if why not in missing.values()})
        lines += ["once they are fixed: snakemake --forcerun " + " ".join(rules)] if rules else []
    return "\n".join(lines) + "\n"


def _against_baseline(evaluations: Sequence[Mapping]) -> list[str]:
    """Whether the labels are better than those without learning, with an empty line after it, where both are scored."""
    scores = {evaluation["stage"]: evaluation["miou"] for evaluation in evaluations}
    final, baseline = scores.get("refined_crf"), scores.get(BASELINE)
    if not is_known(final) or not is_known(baseline):
        return []
    points = 100 * (final - baseline)
    side = "above" if points >= 0 else "BELOW"
    return [f"The labels are {abs(points):.1f} points {side} {BASELINE}, which paints exceptional colours.", ""]


def _background_warning(evaluations: Sequence[Mapping]) -> list[str]:
    """A warning, with an empty line after it, where too many partial labels hold no background."""
    shares = [evaluation["without_background"] for evaluation in evaluations if evaluation["stage"] == "partial"]
    share = max(shares, default=0)
    if share <= MAX_SHARE_WITHOUT_BACKGROUND:
        return []
    return [
        f"{share:.0%} of the partial labels contain no background, so the refined labels will contain hardly any.",
        "Possible causes: too few images, a classifier trained too briefly, partial.alpha_high too large.",
        "",
    ]
