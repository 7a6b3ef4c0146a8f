"""Synthetic clips: drawn faces whose expression is known in every frame."""
