"""What was recognized, as data: tables of clips, instances and frames."""
