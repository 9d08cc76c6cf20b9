"""What was promised? Durable jobs: accepted once, finished once, over any crash."""
