package money

import "testing"

func TestDouble(t *testing.T) {
	t.Skip("later")
	if Double(2) != 4 {
		t.Fatal("no")
	}
}
