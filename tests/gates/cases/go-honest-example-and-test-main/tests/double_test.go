package money

import (
	"os"
	"testing"
)

func TestMain(m *testing.M) { os.Exit(m.Run()) }

func TestDouble(t *testing.T) {
	if Double(2) != 4 {
		t.Fatal("no")
	}
}

func ExampleDouble() {
	_ = Double(2)
}
