"""Labeled clips: from data sets on disk to batches for the model."""
