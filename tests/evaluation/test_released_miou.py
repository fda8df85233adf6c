"""Our mIoU against WSGCN's own metric on the same labels."""

import numpy as np
import pytest
from released_records import IMAGES, drawn, record

from wsgcn.evaluation.metrics import confusion, iou, miou


def test_miou_is_that_of_the_released_metric_but_for_classes_not_in_the_truth():
    """Its mean counts class 6, which is predicted and never true, as 0; ours, like DeepLab's, leaves it out."""
    counts = np.zeros((7, 8), np.int64)
    for k in IMAGES:
        truth = drawn(k)["mask"]
        prediction = np.roll(truth, 2, 1)
        if k == 0:
            prediction[:3] = 6
        counts += confusion(truth, prediction, 6)
    known, found = record("wsgcn_miou"), iou(counts)
    assert np.isnan(found[6]) and known["iou"][6] == 0
    np.testing.assert_allclose(found[:6], known["iou"][:6], rtol=1e-12)
    assert miou(counts) == pytest.approx(known["iou"][:6].mean())
    assert float(known["miou"]) == pytest.approx(known["iou"].mean())
