"""What travels with the course: footage with its truth, weights, and the scripts that made both."""
