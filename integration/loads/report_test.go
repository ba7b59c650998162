package loads

import (
	"fmt"
	"image"
	"slices"
	"strings"
	"testing"
	"time"
)

// someReport is a run in which all servers are alike but for what change makes
// of ours.
func someReport(change func(r *Result)) *Report {
	p := &Report{Machine: "a machine"}
	for _, viewers := range []int{1, 5, 20} {
		for _, load := range Loads {
			for _, server := range Servers {
				r := Result{
					Cell:  Cell{Load: load, Server: server, Size: image.Pt(1280, 1024), Viewers: viewers, Duration: 3 * time.Second},
					Drawn: 3 * Rates[load], Seen: 3 * Rates[load], Rate: float64(Rates[load]), Others: float64(Rates[load]),
					Bytes: 1000, CPU: 0.1, P50: time.Millisecond, P95: 2 * time.Millisecond, First: 20 * time.Millisecond,
					Resident: 15e6, AtRest: Exact,
				}
				if load == "idle" {
					r.CPU, r.Bytes, r.P50, r.P95 = 0, 0, 0, 0
				}
				if server == Ours {
					change(&r)
				}
				p.Results = append(p.Results, r)
			}
		}
	}
	return p
}

func TestReportOfNothingLost(t *testing.T) {
	page := someReport(func(*Result) {}).Markdown()
	for _, want := range []string{
		"## 1280x1024, one viewer\n", "## 1280x1024, 5 viewers\n", "## 1280x1024, 20 viewers\n",
		"## CPU of many viewers as a multiple of one\n", "| video | 1280x1024 | 5 | 1.0, 30.0 frames/s each |", "| video | 1280x1024 | 20 | 1.0, 30.0 frames/s each |",
		// Five for each of five loads, three for idle, three times.
		"Of 84 comparisons 0 are lost.\n", "Of 35 aims 0 are missed.\n",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Contains(page, "## Why") || t.Failed() {
		t.Errorf("the page is:\n%s", page)
	}
}

// Each lost comparison and missed aim is there with how much and why.
func TestReportOfWhatIsLost(t *testing.T) {
	page := someReport(func(r *Result) {
		switch {
		case r.Viewers == 1 && r.Load == "typing":
			r.P50 = 4 * time.Millisecond
		case r.Viewers == 5 && r.Load == "pages":
			r.CPU, r.Bytes = 0.25, 3000
		case r.Viewers == 20 && r.Load == "drag":
			r.Seen, r.Resident, r.CPU = 100, 50e6, 0.2
		}
	}).Markdown()
	for _, want := range []string{
		"| typing | 1280x1024 | 1 | age p50, ms | 4.000 | 1.000 of x11vnc | 4.00 | 1 |\n",
		"| pages | 1280x1024 | 5 | CPU, cores | 0.250 | 0.100 of x11vnc | 2.50 | 2 |\n",
		"| pages | 1280x1024 | 5 | bytes, kB/s | 3.000 | 1.000 of x11vnc | 3.00 | 1 |\n",
		"| typing | 1280x1024 | 1 | age p50, ms | 4.000 | 2.0 | 2.00 | 1 |\n",
		"| pages | 1280x1024 | 5 | CPU of many, times one | 2.500 | 2.0 | 1.25 | 1 |\n",
		"| drag | 1280x1024 | 20 | frames not seen, % | 44.4 | 1.0 | 44.44 | 1 |\n",
		"Of 84 comparisons 4 are lost:\n", "Of 35 aims 3 are missed:\n",
		"\n## Why\n\n1. " + unexplained + "\n2. " + why("pages", measureCPU, "x11vnc") + "\n",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Contains(page, "| resident memory") {
		t.Error("what 20 viewers take is held against the aim for one")
	}
	if t.Failed() {
		t.Errorf("the page is:\n%s", page)
	}
}

// No reason stands behind one that is found first everywhere.
func TestEveryReasonCanBeGiven(t *testing.T) {
	given := make(map[string]bool)
	for _, load := range Loads {
		for _, peer := range append(slices.Clone(Servers), "") {
			for _, r := range reasons {
				given[fmt.Sprint(r.measure, why(load, r.measure, peer))] = true
			}
		}
	}
	for _, r := range reasons {
		if !given[fmt.Sprint(r.measure, r.text)] {
			t.Errorf("never given: %+v", r)
		}
		if r.load != "" && !slices.Contains(Loads, r.load) || r.peer != "" && !slices.Contains(Servers, r.peer) {
			t.Errorf("there is no such load or peer: %+v", r)
		}
	}
}
