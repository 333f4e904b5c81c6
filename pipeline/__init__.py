"""From an idea to a reviewed pull request, by a declared pipeline of coding agents."""

__version__ = "0.1.0"
