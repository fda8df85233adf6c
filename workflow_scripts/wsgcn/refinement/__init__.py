"""What makes complete scores of partial labels or CAMs: a GCN per image, or a random walk."""
