"""Training: one loop, and what it calls."""
