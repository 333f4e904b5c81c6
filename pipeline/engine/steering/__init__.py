"""What a person does to a run from outside: answer, retry, fork, open, cancel, roll back, clean up."""
