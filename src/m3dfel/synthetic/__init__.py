"""Drawn clips of faces whose expression, frame by frame, is known."""
