package money

// Add adds.
func Add(a, b int) int { return a + b }

// Double doubles.
func Double(a int) int { return 2 * a }
