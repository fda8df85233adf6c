"""Labels in the formats of annotation tools and trainings, and corrected labels back from them."""
