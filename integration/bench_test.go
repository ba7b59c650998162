package integration

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// clockTick is the unit of the processor times in /proc: a hundredth of a
// second on every Linux (USER_HZ).
const clockTick = 10 * time.Millisecond

// processorTime is how long a process has computed so far.
func processorTime(b *testing.B, pid int) time.Duration {
	b.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Fatal(err)
	}
	// After the name in parentheses, utime and stime are fields 12 and 13.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	var total time.Duration
	for _, field := range fields[11:13] {
		ticks, err := strconv.Atoi(field)
		if err != nil {
			b.Fatal(err)
		}
		total += time.Duration(ticks) * clockTick
	}
	return total
}

// resident is the memory that a process holds at present, in MiB.
func resident(b *testing.B, pid int) float64 {
	b.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			var kilobytes float64
			if _, err := fmt.Sscan(rest, &kilobytes); err != nil {
				b.Fatal(err)
			}
			return kilobytes / 1024
		}
	}
	b.Fatal("the kernel does not say VmRSS")
	return 0
}

// BenchmarkFirstPicture measures, as the page in Chromium sees it, the time
// from the opened websocket to the first picture: of a running terminal
// (budget: 300 ms) and of a cold one, where it is the painted message that the
// console starts (100 ms). The page marks both moments itself.
func BenchmarkFirstPicture(b *testing.B) {
	need(b, "xterm")
	n := terminalNode(b, "terminal")
	s := startService(b, n)
	open := func(b *testing.B) float64 {
		p := newTab(b)
		p.openConsole(b, s, n.name)
		var ms float64
		eventually(b, "the first picture", func() error {
			var err error
			ms, err = evaluate[float64](p, `(() => {
				const at = (name) => performance.getEntriesByName("ironglass:" + name)[0]?.startTime || 0;
				return at("first-frame") ? at("first-frame") - at("ws-open") : 0;
			})()`)
			if err == nil && ms == 0 {
				err = errors.New("not yet")
			}
			return err
		})
		p.goTo(b, "about:blank")
		return ms
	}
	for _, kind := range []string{"cold", "running"} {
		b.Run(kind, func(b *testing.B) {
			var all []float64
			for b.Loop() {
				if kind == "cold" {
					s.coldStart(b, n)
				}
				all = append(all, open(b))
			}
			slices.Sort(all)
			b.ReportMetric(all[len(all)/2], "ms/median")
			b.ReportMetric(all[0], "ms/least")
			b.ReportMetric(all[len(all)-1], "ms/most")
			b.ReportMetric(0, "ns/op") // of no meaning here
		})
	}
}

// BenchmarkColdTerminal measures the time from asking for the page of a cold
// node to its terminal on the canvas (budget: 2 s).
func BenchmarkColdTerminal(b *testing.B) {
	need(b, "xterm")
	n := terminalNode(b, "terminal")
	s := startService(b, n)
	var sum float64
	for b.Loop() {
		s.coldStart(b, n)
		url, _ := s.token(b, n.name, `{"mode":"operate"}`)
		p := newTab(b)
		p.watch(b)
		p.goTo(b, url)
		sum += p.awaitMarks(b).Terminal
		p.goTo(b, "about:blank")
	}
	b.ReportMetric(sum/float64(b.N), "ms/click-to-terminal")
	b.ReportMetric(0, "ns/op") // of no meaning here
}

// coldStart stops a node's console, so that the next viewer starts it.
func (s *service) coldStart(t testing.TB, n *node) {
	t.Helper()
	path := "/v1/nodes/" + n.name + "/states/console"
	for _, enabled := range []string{"false", "true"} {
		if _, err := s.do(t, http.MethodPut, path, `{"enabled":`+enabled+`}`, http.StatusAccepted); err != nil {
			t.Fatal(err)
		}
		if enabled == "true" {
			continue
		}
		eventually(t, "the console to be off", func() error {
			if left := descendants(t, s.cmd.Process.Pid); len(left) > 0 {
				return fmt.Errorf("still there: %v", left)
			}
			return nil
		})
	}
}

// BenchmarkIdle measures what an open console costs while nothing happens on
// it: processor time of the service and the supervisor together (budget: 1 % of
// a core) and the supervisor's memory (20 MiB).
func BenchmarkIdle(b *testing.B) {
	_, s, _, _ := openPicture(b, "idle", "1280x1024")
	supervisor, err := find(b, s.cmd.Process.Pid, "ironglass-supervisor", "")
	if err != nil {
		b.Fatal(err)
	}
	time.Sleep(2 * time.Second) // what the start left to do
	const span = 20 * time.Second
	var service, console, over time.Duration
	for b.Loop() {
		service -= processorTime(b, s.cmd.Process.Pid)
		console -= processorTime(b, supervisor.pid)
		time.Sleep(span)
		service += processorTime(b, s.cmd.Process.Pid)
		console += processorTime(b, supervisor.pid)
		over += span
	}
	b.ReportMetric(100*service.Seconds()/over.Seconds(), "%core/service")
	b.ReportMetric(100*console.Seconds()/over.Seconds(), "%core/supervisor")
	b.ReportMetric(resident(b, s.cmd.Process.Pid), "MiB/service")
	b.ReportMetric(resident(b, supervisor.pid), "MiB/supervisor")
	b.ReportMetric(0, "ns/op") // the span says it
}
