"""Labels against the ground truth: counts, mIoU, intervals, comparisons."""
