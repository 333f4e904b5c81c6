"""What all of the engine stands on: the world, the flow, the record of a run, and who holds it."""
