package money

// Add adds.
func Add(a, b int) int { return a + b }

// Same keeps.
func Same(a int) int {
	a = a
	return a
}
