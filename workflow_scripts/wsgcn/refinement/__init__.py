"""Complete scores from partial labels or CAMs: a GCN per image, a random walk, or the CAMs themselves."""
