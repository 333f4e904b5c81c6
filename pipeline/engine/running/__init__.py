"""Working on a run: the loop, one attempt of a stage, the workspaces, what an attempt came to."""
