// Command benchpeers measures ironglass-supervisor and its peers side by side
// in every load (integration/loads) and writes a table and a chart for docs.
//
//	go run ./integration/benchpeers -o docs
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"image"
	"os"
	"os/signal"
	"path/filepath"
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
		fmt.Fprintln(os.Stderr, "benchpeers:", err)
		os.Exit(1)
	}
}

// settings are the flags.
type settings struct {
	out, raw, from             string
	loads, servers, geometries string
	viewers                    string
	seconds                    float64
	supervisor                 string
}

// parse reads the flags; help says that they were shown.
func parse(args []string) (s settings, help bool, err error) {
	fs := flag.NewFlagSet("benchpeers", flag.ContinueOnError)
	fs.StringVar(&s.out, "o", "", "the `folder` that gets bench-peers.md and pictures/bench-peers.svg; without it the table is printed")
	fs.StringVar(&s.raw, "raw", "", "the `file` that gets all figures as JSON after each cell, so that a run that is cut off is not lost")
	fs.StringVar(&s.from, "from", "", "a `file` of -raw to make table and chart of, without measuring")
	fs.StringVar(&s.loads, "loads", strings.Join(loads.Loads, ","), "the loads")
	fs.StringVar(&s.servers, "servers", strings.Join(loads.Servers, ","), "the servers; also "+loads.Attached)
	fs.StringVar(&s.geometries, "sizes", "1280x1024,1920x1200", "the screens' sizes in pixels")
	fs.StringVar(&s.viewers, "viewers", "1,5,20", "how many viewers")
	fs.Float64Var(&s.seconds, "seconds", 3, "how long each load runs; all cells, with about as much for each server's start, take under 15 minutes at 3")
	fs.StringVar(&s.supervisor, "supervisor", "", "the supervisor's `file` instead of one built for the run")
	quick := fs.Bool("quick", false, "one size, one viewer, two seconds each")
	if err := fs.Parse(args); errors.Is(err, flag.ErrHelp) {
		return s, true, nil
	} else if err != nil {
		return s, false, err
	}
	if *quick {
		s.geometries, s.viewers, s.seconds = "1280x1024", "1", 2
	}
	return s, false, nil
}

func run(ctx context.Context, args []string) error {
	s, help, err := parse(args)
	if err != nil || help {
		return err
	}
	report := loads.Report{Machine: loads.Machine()}
	if s.from != "" {
		if err := loads.Kept(s.from, &report); err != nil {
			return err
		}
	} else {
		cells, err := s.cells()
		if err != nil {
			return err
		}
		if err := s.measure(ctx, cells, &report); err != nil {
			return err
		}
	}
	return s.write(&report)
}

// cells are all that is to be measured, the servers in turn in each.
func (s *settings) cells() ([]loads.Cell, error) {
	var out []loads.Cell
	duration := time.Duration(s.seconds * float64(time.Second))
	if duration < 100*time.Millisecond {
		return nil, fmt.Errorf("%g seconds are too few for a load", s.seconds)
	}
	for _, geometry := range strings.Split(s.geometries, ",") {
		var size image.Point
		if _, err := fmt.Sscanf(geometry, "%dx%d", &size.X, &size.Y); err != nil {
			return nil, fmt.Errorf("the size %q is not as 1280x1024: %w", geometry, err)
		}
		for _, viewers := range strings.Split(s.viewers, ",") {
			n, err := strconv.Atoi(viewers)
			if err != nil || n < 1 {
				return nil, fmt.Errorf("%q is no number of viewers", viewers)
			}
			for _, load := range strings.Split(s.loads, ",") {
				if !slices.Contains(loads.Loads, load) {
					return nil, fmt.Errorf("there is no load %q: use some of %s", load, strings.Join(loads.Loads, ", "))
				}
				for _, server := range strings.Split(s.servers, ",") {
					if server != loads.Attached && !slices.Contains(loads.Servers, server) {
						return nil, fmt.Errorf("there is no server %q: use some of %s, %s", server, strings.Join(loads.Servers, ", "), loads.Attached)
					}
					out = append(out, loads.Cell{Load: load, Server: server, Size: size, Viewers: n, Duration: duration})
				}
			}
		}
	}
	return out, nil
}

// measure measures the cells. One that fails is in the report with the reason.
func (s *settings) measure(ctx context.Context, cells []loads.Cell, report *loads.Report) error {
	dir, err := os.MkdirTemp("", "benchpeers-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	programs, err := loads.Build(ctx, dir)
	if err != nil {
		return err
	}
	if s.supervisor != "" {
		programs.Supervisor = s.supervisor
	}
	for i, c := range cells {
		r, err := loads.Measure(ctx, programs, c)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "%v: %v\n", c, err)
		} else {
			fmt.Fprintf(os.Stderr, "%3d of %d  %s\n", i+1, len(cells), r.Line())
		}
		report.Results = append(report.Results, r)
		if err := loads.Keep(s.raw, report); err != nil {
			return err
		}
	}
	return nil
}

// write writes table and chart.
func (s *settings) write(report *loads.Report) error {
	if s.out == "" {
		_, err := os.Stdout.WriteString(report.Markdown())
		return err
	}
	if err := os.MkdirAll(filepath.Join(s.out, "pictures"), 0o755); err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(s.out, "bench-peers.md"), []byte(report.Markdown()), 0o644),
		os.WriteFile(filepath.Join(s.out, "pictures", "bench-peers.svg"), []byte(report.Chart()), 0o644),
	)
}
