"""The names of metrics, as MLflow shows them."""

import re
from collections.abc import Mapping

from wsgcn.text import metric_part


def metric_name(evaluation: Mapping, what: str = "miou") -> str:
    """A metric's name with its protocol: split, stage, what, e.g. train/refined_crf/miou or train/refined_crf/iou/cat.

    Characters that MLflow does not take become underscores; of a class's name see `dataset.metric_part`.
    """
    what, *name = what.split("/", 1)
    parts = [re.sub(r"[^\w\-. ]", "_", part) for part in (evaluation["split"], evaluation["stage"], what)]
    return "/".join([*parts, *map(metric_part, name)])
