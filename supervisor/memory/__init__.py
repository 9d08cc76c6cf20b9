"""What do we know? Folders and repositories, indexed, and searched by words."""
