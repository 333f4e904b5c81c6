"""A run as people and programs see it: the result object, the files in its folder, explanations."""
