"""Figures, pages and tables for the terminal."""
