"""Prompts: the value that each is filled in from (`brief`), and its templates."""
