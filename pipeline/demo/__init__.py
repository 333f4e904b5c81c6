"""The demo: a sample repository, a bare remote, and a cassette that plays the agents."""
