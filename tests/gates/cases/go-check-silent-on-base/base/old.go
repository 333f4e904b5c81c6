package money
func  Old() int   { return 1 }
