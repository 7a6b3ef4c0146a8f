"""Training: `loop.train` is the whole of a run, and the other modules are its steps."""
