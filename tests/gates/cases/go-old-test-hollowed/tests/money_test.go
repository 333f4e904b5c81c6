package money

import "testing"

func TestAdd(t *testing.T) {

}

func TestZero(t *testing.T) {
	if Add(0, 0) != 0 {
		t.Fatal("no")
	}
}
