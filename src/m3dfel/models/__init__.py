"""The network: backbone, DMIN, DLIAM and M3DFEL, one concept a file."""
