"""Manifests, sampling and transforms: from files on disk to clips for the model."""
