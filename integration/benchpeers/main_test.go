package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A run of all that there is must be bearable.
func TestAllCellsTakeUnder15Minutes(t *testing.T) {
	s, _, err := parse(nil)
	if err != nil {
		t.Fatal(err)
	}
	cells, err := s.cells()
	if err != nil {
		t.Fatal(err)
	}
	if want := 6 * 4 * 2 * 3; len(cells) != want {
		t.Errorf("%d cells, want %d", len(cells), want)
	}
	viewers := make(map[int]int)
	var all time.Duration
	for _, c := range cells {
		viewers[c.Viewers]++
		// Starting a server, connecting, waiting for rest, and ending it.
		all += c.Duration + 3*time.Second
	}
	if all > 15*time.Minute || len(viewers) != 3 || viewers[1] != 48 || viewers[5] != 48 || viewers[20] != 48 {
		t.Errorf("%v for %v viewers", all, viewers)
	}
}

func TestFlags(t *testing.T) {
	for _, wrong := range []string{"-viewers 0", "-viewers x", "-sizes 12", "-loads nothing", "-servers ironglass,none", "-seconds 0", "-seconds NaN"} {
		s, _, err := parse(strings.Fields(wrong))
		if err == nil {
			_, err = s.cells()
		}
		if err == nil {
			t.Errorf("%s is taken", wrong)
		}
	}
}

// A page can be made of an earlier run's figures.
func TestPageFromFigures(t *testing.T) {
	dir := t.TempDir()
	raw := filepath.Join(dir, "raw.json")
	const figures = `{"Machine": "a machine", "Results": [{"Load": "video", "Server": "ironglass", "Size": {"X": 800, "Y": 600}, "Viewers": 5, "Drawn": 90, "Seen": 90}]}`
	if err := os.WriteFile(raw, []byte(figures), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := run(t.Context(), []string{"-from", raw, "-o", dir}); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(dir, "bench-peers.md"))
	if err != nil || !strings.Contains(string(page), "## 800x600, 5 viewers") {
		t.Errorf("%v: the page is %s", err, page)
	}
	if _, err := os.Stat(filepath.Join(dir, "pictures", "bench-peers.svg")); err != nil {
		t.Error(err)
	}
}
