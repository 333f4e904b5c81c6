"""What can be said without touching the world: flows, events, state, decisions."""
