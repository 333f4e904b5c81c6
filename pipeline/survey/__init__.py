"""What a repository is: its targets, how each is tested and checked, and its conventions."""
