"""A camera, or a video that plays like one: what the faces express right now."""
