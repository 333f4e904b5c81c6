"""What a person does to a run: answer, retry, fork, open, cancel, roll back, clean up."""
