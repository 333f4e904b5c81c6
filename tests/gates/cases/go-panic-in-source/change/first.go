package money

// First returns the first.
func First(items []int) int {
	if len(items) == 0 {
		return 0
	}
	return items[0]
}
