"""Evaluation: run a model on a split, measure how good it is and explain its failures."""
