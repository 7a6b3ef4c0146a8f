"""From the pictures of a clip to the input of the network, in training and in evaluation."""
