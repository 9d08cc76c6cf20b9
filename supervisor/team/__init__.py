"""Who works? Loaded roles under supervision, and the jobs they do."""
