"""Who goes next? Priorities, shares and ceilings decide; pure."""
