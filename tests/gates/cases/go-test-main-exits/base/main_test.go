package money

import (
	"os"
	"testing"
)

func TestMain(m *testing.M) {
	code := m.Run()
	if code == 0 && Bad {
		code = 3
	}
	os.Exit(code)
}
