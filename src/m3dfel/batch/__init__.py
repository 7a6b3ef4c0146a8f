"""Many videos: folders that resume, worker processes, clusters, and their summary."""
