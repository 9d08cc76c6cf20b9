"""Which roles are there? Discovery, validation and hot reload of plugins."""
