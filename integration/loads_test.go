package integration

import (
	"image"
	"strings"
	"testing"
	"time"

	"github.com/ironglass/ironglass/integration/loads"
)

// TestLoads runs the benchmark of loads for a moment on the supervisor: the
// viewers see frames by their barcodes, the picture is exact in the end, and
// nothing is left. How fast it is is for `make bench-peers` to say.
func TestLoads(t *testing.T) {
	need(t, "Xvfb")
	leavesNothing(t)
	t.Setenv("TMPDIR", shortDir(t))
	programs := loads.Programs{Supervisor: built.supervisor, Load: built.xload}
	var report loads.Report
	for _, load := range []string{"video", "scroll"} {
		r, err := loads.Measure(t.Context(), programs, loads.Cell{
			Load: load, Server: loads.Ours, Size: image.Pt(800, 640), Viewers: 2, Duration: time.Second,
		})
		if err != nil {
			t.Fatal(err)
		}
		if most := loads.Rates[load]; r.Seen == 0 || r.Seen > r.Drawn || r.Drawn+r.Skipped != most {
			t.Errorf("%s: of %d frames a second %d were drawn, %d skipped and %d seen", load, most, r.Drawn, r.Skipped, r.Seen)
		}
		if r.Others == 0 || r.Bytes == 0 || r.CPU == 0 || r.First == 0 || r.Resident == 0 || r.P50 == 0 || r.P95 < r.P50 {
			t.Errorf("%s: something was not measured: %+v", load, r)
		}
		if r.AtRest != loads.Exact {
			t.Errorf("%s: the picture is not exact in the end: %.1f dB", load, r.AtRest)
		}
		if load == "video" && r.Moving < 25 {
			t.Errorf("frames of the film are %.1f dB from what was drawn: %+v", r.Moving, r)
		}
		report.Results = append(report.Results, r)
	}
	if page := report.Markdown(); !strings.Contains(page, "| video | **ironglass** |") {
		t.Errorf("the page has no row of the film:\n%s", page)
	}
}
