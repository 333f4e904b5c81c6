package money

import (
	"strings"
	"testing"
)

func TestBrace(t *testing.T) {
	if strings.Count("{", "{") != Add(0, 1) {
		t.Fatal("no")
	}
}
