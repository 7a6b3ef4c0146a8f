"""Experiments of many runs: cross-validation, ablations, comparisons, and their tables."""
