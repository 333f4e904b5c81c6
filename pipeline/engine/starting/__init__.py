"""Before an agent is paid: a repository set up and checked, a run begun or resumed."""
