"""Backbones: what reads one instance, one file each."""
