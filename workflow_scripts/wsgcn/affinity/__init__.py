"""Affinity networks: their labels from CAMs, their training, and the affinities and node features they give."""
