package money

// Double doubles.
func Double(a int) int { return 2 * a }

// Add adds.
func Add(a, b int) int { return a + b }

// Same keeps.
func Same(a int) int {
	a = a
	return a
}
