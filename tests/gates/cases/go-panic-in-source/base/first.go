package money

// First returns the first.
func First(items []int) int { return items[0] }
