"""From labeled videos of whole scenes to clips of one aligned face."""
