"""Class activation maps: of a classifier trained on the tags, or those that other methods wrote."""
