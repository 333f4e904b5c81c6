"""Before an agent is paid: a repository taken into use, checked, and a run of it begun or gone on with."""
