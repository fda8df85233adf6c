"""The names of the GCN's losses: a module of its own, so that jobs that only read loss curves import no torch."""

LOSSES = ("loss", "loss_fg", "loss_bg", "loss_ent", "loss_lap")
