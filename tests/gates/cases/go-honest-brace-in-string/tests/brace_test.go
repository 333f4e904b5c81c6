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

func TestDouble(t *testing.T) {
	if Double(2) != 4 {
		t.Fatal("no")
	}
}
