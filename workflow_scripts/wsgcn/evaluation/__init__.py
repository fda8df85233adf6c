"""Labels against the truth: counts, mIoU, intervals, comparisons."""
