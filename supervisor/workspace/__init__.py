"""Where does a role change things? Worktrees of its own, commands that cannot see the key."""
