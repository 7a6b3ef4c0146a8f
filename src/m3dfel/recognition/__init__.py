"""A trained model on videos: what each face expresses, and when."""
