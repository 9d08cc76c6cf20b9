"""The one door to the key: ask, wait, be granted, be written down, be sent, be settled."""
