"""The ways to run an agent; `table` names them."""
