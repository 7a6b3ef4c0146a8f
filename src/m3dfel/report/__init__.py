"""Figures, HTML pages and terminal output, made from saved results."""
