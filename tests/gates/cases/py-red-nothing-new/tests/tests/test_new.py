# no test in here
