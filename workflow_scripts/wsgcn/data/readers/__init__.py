"""Readers of data sets, one per layout on disk."""
