package money

import "testing"

func TestDouble(t *testing.T) {
	for name, want := range map[string]int{"two": 2, "four": 4} {
		t.Run(name, func(t *testing.T) {
			if Double(want/2) != want {
				t.Fatal(want)
			}
		})
	}
}
