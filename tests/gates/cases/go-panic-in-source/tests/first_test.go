package money

import "testing"

func TestFirstOfNone(t *testing.T) {
	if First(nil) != 0 {
		t.Fatal("no")
	}
}
