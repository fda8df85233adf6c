"""Names of metrics."""

import pytest

from wsgcn.evaluation import metric_name


@pytest.mark.parametrize(
    ("what", "name"),
    [
        ("miou", "my_list/refined_crf/miou"),
        ("iou/potted plant", "my_list/refined_crf/iou/potted plant"),
        ("iou/a/b", "my_list/refined_crf/iou/a_b"),
        ("iou/..", "my_list/refined_crf/iou/__"),
        ("iou/Blüte", "my_list/refined_crf/iou/Blüte"),
    ],
)
def test_a_metric_s_name_holds_its_protocol(what, name):
    assert metric_name({"split": "my/list", "stage": "refined_crf"}, what) == name
