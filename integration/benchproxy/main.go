// Command benchproxy measures consoles through the central service against
// Xtigervnc through websockify, on which nova-novncproxy is built, and writes
// a page for docs.
//
//	go run ./integration/benchproxy -o docs/bench-proxy.md
package main

import (
	"context"
	"flag"
	"fmt"
	"image"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/ironglass/ironglass/integration/loads"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "benchproxy:", err)
		os.Exit(1)
	}
}

// report is one run.
type report struct {
	Machine string
	Results []loads.Result
	Memory  loads.ConsoleMemory
}

// size is that of the screens, in pixels.
var size = image.Pt(1280, 1024)

func run(ctx context.Context, args []string) error {
	fs := flag.NewFlagSet("benchproxy", flag.ContinueOnError)
	out := fs.String("o", "", "the `file` for the page; without it the page is printed")
	raw := fs.String("raw", "", "the `file` that gets all figures as JSON after each cell")
	from := fs.String("from", "", "a `file` of -raw to make the page of, without measuring")
	crowds := fs.String("viewers", "1,20,200", "how many viewers")
	list := fs.String("loads", "typing,video", "the loads")
	consoles := fs.Int("consoles", 10, "how many consoles the memory is measured with")
	seconds := fs.Float64("seconds", 4, "how long each load runs")
	if err := fs.Parse(args); err != nil {
		return err
	}
	r := &report{Machine: loads.Machine()}
	if *from != "" {
		if err := loads.Kept(*from, r); err != nil {
			return err
		}
	} else if err := r.measure(ctx, *list, *crowds, *consoles, time.Duration(*seconds*float64(time.Second)), *raw); err != nil {
		return err
	}
	page := r.page()
	if *out == "" {
		_, err := os.Stdout.WriteString(page)
		return err
	}
	return os.WriteFile(*out, []byte(page), 0o644) //nolint:gosec // for others to read
}

// measure measures everything, the systems in turn.
func (r *report) measure(ctx context.Context, list, crowds string, consoles int, d time.Duration, raw string) error {
	dir, err := os.MkdirTemp("", "benchproxy-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	p, err := loads.Build(ctx, dir)
	if err != nil {
		return err
	}
	for _, text := range strings.Split(crowds, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return fmt.Errorf("%q is no number of viewers", text)
		}
		for _, load := range strings.Split(list, ",") {
			for _, server := range []string{loads.Ours, loads.Proxied, "Xtigervnc", loads.Websockify} {
				if n > 1 && (server == loads.Ours || server == "Xtigervnc") {
					continue // without what stands before it, for one viewer's ages
				}
				c := loads.Cell{Load: load, Server: server, Size: size, Viewers: n, Duration: d}
				got, err := loads.Measure(ctx, p, c)
				if ctx.Err() != nil {
					return ctx.Err()
				}
				if err != nil {
					fmt.Fprintf(os.Stderr, "%v: %v\n", c, err)
				} else {
					fmt.Fprintf(os.Stderr, "%s, before it %d MB\n", got.Line(), got.Front/1e6)
				}
				r.Results = append(r.Results, got)
				if err := loads.Keep(raw, r); err != nil {
					return err
				}
			}
		}
	}
	if r.Memory, err = loads.MeasureConsoles(ctx, p, size, consoles); err != nil {
		return err
	}
	return loads.Keep(raw, r)
}

// find is the result of a cell, nil where there is none.
func (r *report) find(load, server string, viewers int) *loads.Result {
	i := slices.IndexFunc(r.Results, func(x loads.Result) bool {
		return x.Load == load && x.Server == server && x.Viewers == viewers && x.Error == ""
	})
	if i < 0 {
		return nil
	}
	return &r.Results[i]
}

// names are what the systems are called in the page.
var names = map[string]string{
	loads.Ours: "supervisor alone", loads.Proxied: "**ironglass** (supervisor and service)",
	"Xtigervnc": "Xtigervnc alone", loads.Websockify: "Xtigervnc and websockify",
}

// page is the report.
func (r *report) page() string {
	var b strings.Builder
	fmt.Fprintf(&b, `# Through the proxy

`+"`make bench-proxy`"+` measures one console of %dx%d for 1, 20 and 200 viewers over websockets, in one run with the same X program and the same client: ironglass (supervisor and central service) against Xtigervnc behind websockify, which nova-novncproxy is built on. All is on one machine over loopback, the client too, which with 200 viewers takes a good part of it. Figures of different machines, or of different runs, cannot be compared.

Measured with: %s.

`, size.X, size.Y, r.Machine)
	b.WriteString(`- seen/s: frames that the first viewer showed, and what the slowest of the others was sent.
- CPU: of all processes, X server included, in cores.
- ms: a frame's age once decoded.
- MB before it: resident memory of the service, or of websockify, which is a process for each viewer; in parentheses with what processes share counted once.

| load | viewers | system | seen/s | slowest/s | kB/s each | CPU | ms p50 | ms p95 | RFB server MB | MB before it |
|---|---|---|---|---|---|---|---|---|---|---|
`)
	for _, x := range r.Results {
		if x.Error != "" {
			fmt.Fprintf(&b, "| %s | %d | %s | failed: %s | | | | | | | |\n", x.Load, x.Viewers, names[x.Server], strings.SplitN(x.Error, "\n", 2)[0])
			continue
		}
		front := "-"
		if x.Front > 0 {
			front = fmt.Sprintf("%d (%d)", x.Front/1e6, x.FrontShare/1e6)
		}
		fmt.Fprintf(&b, "| %s | %d | %s | %.1f | %.1f | %.1f | %.3f | %.2f | %.2f | %d | %s |\n", x.Load, x.Viewers, names[x.Server],
			x.Rate, x.Others, x.Bytes/1000, x.CPU, milliseconds(x.P50), milliseconds(x.P95), x.Resident/1e6, front)
	}
	b.WriteString("\n## Against the budgets\n\n| what | measured | budget |\n|---|---|---|\n")
	r.budgets(&b)
	return b.String()
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func (r *report) budgets(b *strings.Builder) {
	row := func(what, format string, budget string, args ...any) {
		fmt.Fprintf(b, "| %s | %s | %s |\n", what, fmt.Sprintf(format, args...), budget)
	}
	if ours, theirs := r.find("video", loads.Proxied, 20), r.find("video", loads.Websockify, 20); ours != nil && theirs != nil {
		row("CPU for 20 viewers of video, of websockify's", "%.2f (%.1f frames/s each against %.1f)", "less than 0.33", ours.CPU/theirs.CPU, ours.Others, theirs.Others)
		row("memory for 20 viewers of video (service and supervisor), of websockify's", "%.3f (%.3f of what its processes do not share)", "less than 0.1",
			float64(ours.Front+ours.Resident)/float64(theirs.Front), float64(ours.Front+ours.Resident)/float64(theirs.FrontShare))
	}
	for _, load := range []string{"typing", "video"} {
		if ours, alone := r.find(load, loads.Proxied, 1), r.find(load, loads.Ours, 1); ours != nil && alone != nil {
			row("added latency, p50, "+load, "%.2f ms", "less than 2 ms", milliseconds(ours.P50-alone.P50))
		}
	}
	if one, many := r.find("video", loads.Proxied, 1), r.find("video", loads.Proxied, 200); one != nil && many != nil {
		row("service's memory for each further viewer of video", "%d KB", "at most 150 KB", (many.Front-one.Front)/199/1000)
	}
	if m := r.Memory; m.Consoles > 0 {
		row(fmt.Sprintf("service's memory for each of %d live consoles of %dx%d", m.Consoles, size.X, size.Y), "%.1f MB", "at most 10 MB", float64(m.Each())/1e6)
		row("the service with none, with all, and after their viewers left", "%d, %d and %d MB", "", m.None/1e6, m.Live/1e6, m.Rest/1e6)
	}
}
