"""Affinity networks, IRNet and AffinityNet, and the matrices that are made of what they say of an image."""
