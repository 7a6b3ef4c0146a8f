"""The network: M3DFEL, its backbones and its aggregations, one concept a file."""
