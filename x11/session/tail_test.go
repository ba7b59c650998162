package session

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
)

func TestTailKeepsTheLastLines(t *testing.T) {
	var seen []string
	w := &tail{line: func(s string) { seen = append(seen, s) }}
	for i := range 3 * tailLines {
		fmt.Fprintf(w, "line %d\n", i)
	}
	io.WriteString(w, "no line ")
	io.WriteString(w, "end")
	w.end()
	if got, want := w.last(3), []string{"line 58", "line 59", "no line end"}; !slices.Equal(got, want) {
		t.Errorf("last lines are %q, want %q", got, want)
	}
	if got := len(w.last(1000)); got != tailLines {
		t.Errorf("%d lines are kept, want %d", got, tailLines)
	}
	if len(seen) != 3*tailLines+1 {
		t.Errorf("%d lines were told, want %d", len(seen), 3*tailLines+1)
	}
}

func TestTailBoundsALine(t *testing.T) {
	w := &tail{}
	for range 1000 {
		io.WriteString(w, strings.Repeat("ü", 1000)) // two bytes each
	}
	io.WriteString(w, "\nnext\n")
	got := w.last(2)
	if len(got) != 2 || got[0] != strings.Repeat("ü", tailLineLen/2) || got[1] != "next" {
		t.Errorf("got %q", got)
	}
}

func TestTailDropsWhatATerminalWouldObey(t *testing.T) {
	for in, want := range map[string]string{
		"\x1b[31mred\x1b[0m":    "[31mred[0m",
		"  a\tb\r":              "a b",
		"bad \xff\xfe bytes":    "bad ? bytes",
		"a\x00b":                "ab",
		strings.Repeat(" ", 50): "",
		"cut \xe2\x82":          "cut",
	} {
		w := &tail{}
		io.WriteString(w, in)
		w.end()
		if got := strings.Join(w.last(5), "|"); got != want {
			t.Errorf("%q is kept as %q, want %q", in, got, want)
		}
	}
}
