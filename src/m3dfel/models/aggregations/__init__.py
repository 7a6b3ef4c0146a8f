"""Aggregations: what joins a bag's instances into one vector, one file each."""
