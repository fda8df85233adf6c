"""The names of the GCN's losses, apart from them for jobs that read their curves and need no torch."""

LOSSES = ("loss", "loss_fg", "loss_bg", "loss_ent", "loss_lap")
