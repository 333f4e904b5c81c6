package deep

func One() int { return "one" }
