"""From scores to labels: the dense CRF, partial labels, complete pseudo labels."""
