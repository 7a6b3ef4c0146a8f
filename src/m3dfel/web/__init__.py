"""The page in the browser: drop a video, see what its faces express, and when."""
