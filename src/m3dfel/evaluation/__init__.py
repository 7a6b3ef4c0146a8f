"""How good a model is, and why it fails."""
