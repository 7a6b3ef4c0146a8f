"""From a video file to aligned face tracks: decode, detect, track, align."""
