"""Class activation maps: of a classifier trained on the tags, or external ones from the files of other methods."""
