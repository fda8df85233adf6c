"""Data sets: their lists, tags and masks, their readers, the drawn demo, augmentation."""
