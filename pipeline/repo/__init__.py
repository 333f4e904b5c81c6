"""Git, as this project uses it: a trusted store, disposable workspaces, exact changes."""
