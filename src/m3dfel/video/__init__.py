"""From a video to aligned face tracks: decode, detect, track, align."""
