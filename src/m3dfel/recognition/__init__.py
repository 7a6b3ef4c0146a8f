"""Apply a trained model to videos: what each face expresses, and when."""
