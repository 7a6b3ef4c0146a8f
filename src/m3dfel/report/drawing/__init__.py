"""What the annotated video is drawn of: boxes, cards, timelines, and where each of them is."""
