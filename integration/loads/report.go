package loads

import (
	"fmt"
	"image"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Report is one run of the benchmark.
type Report struct {
	Machine string
	Results []Result
}

// Line is a result in a line for a person who waits.
func (r *Result) Line() string {
	return fmt.Sprintf("%-7s %dx%d %2d %-11s %5.1f/s of %d, others %.1f, %5.0f kB/s, %.3f cores (X %.3f), %s/%s ms, first %s ms, %s dB moving, %s at rest, %.0f MB, %.0f wake-ups/s",
		r.Load, r.Size.X, r.Size.Y, r.Viewers, r.Server, r.Rate, Rates[r.Load], r.Others, r.Bytes/1000, r.CPU, r.XCPU,
		ms(r.P50), ms(r.P95), ms(r.First), decibels(r.Moving), decibels(r.AtRest), megabytes(r.Resident), r.Wakeups)
}

func ms(d time.Duration) string {
	if d == 0 {
		return "-"
	}
	return short(float64(d) / float64(time.Millisecond))
}

// short is a number with three digits or so.
func short(v float64) string {
	switch {
	case v >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 1:
		return strconv.FormatFloat(v, 'f', 1, 64)
	default:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
}

func decibels(db float64) string {
	switch db {
	case 0:
		return "-"
	case Exact:
		return "exact"
	}
	return strconv.FormatFloat(db, 'f', 1, 64)
}

func megabytes(n int64) float64 { return float64(n) / 1e6 }

// Machine describes where and with what is measured.
func Machine() string {
	cpu := "unknown processor"
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			if name, value, _ := strings.Cut(line, ":"); strings.TrimSpace(name) == "model name" {
				cpu = strings.TrimSpace(value)
				break
			}
		}
	}
	system := "unknown system"
	if b, err := os.ReadFile("/etc/os-release"); err == nil {
		for line := range strings.Lines(string(b)) {
			if value, ok := strings.CutPrefix(line, "PRETTY_NAME="); ok {
				system = strings.Trim(strings.TrimSpace(value), `"`)
			}
		}
	}
	memory := int64(0)
	if kB, err := status("/proc/meminfo", "MemTotal:"); err == nil {
		memory = kB >> 20
	}
	kernel := ""
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		kernel = "Linux " + strings.Join(strings.SplitN(unix.ByteSliceToString(u.Release[:]), ".", 3)[:2], ".")
	}
	parts := []string{
		fmt.Sprintf("%d cores of %s", runtime.NumCPU(), cpu), fmt.Sprintf("%d GiB", memory), kernel, system, "Go " + strings.TrimPrefix(runtime.Version(), "go"),
	}
	for _, pkg := range []string{"xvfb", "x11vnc", "tigervnc-scraping-server", "tigervnc-standalone-server"} {
		if out, err := exec.Command("dpkg-query", "--show", "--showformat", "${Version}", pkg).Output(); err == nil {
			parts = append(parts, pkg+" "+string(out))
		}
	}
	return strings.Join(parts, ", ")
}

// Markdown is the report as a page.
func (p *Report) Markdown() string {
	var b strings.Builder
	seconds := 0.0
	if len(p.Results) > 0 {
		seconds = p.Results[0].Duration.Seconds()
	}
	fmt.Fprintf(&b, `# Side by side with other servers

`+"`make bench-peers`"+` measures ironglass-supervisor and the VNC servers of Debian's packages in turn in one run, with the same X program and the same client for each, %g s for each cell, all on one machine over loopback, and writes this page. Figures of different machines, or of different runs, cannot be compared.

Measured with: %s.

![CPU, age of frames and bytes of each server in each load](pictures/bench-peers.svg)

`, seconds, p.Machine)
	b.WriteString(howMeasured)
	for _, size := range p.sizes() {
		for _, viewers := range p.crowds() {
			p.table(&b, size, viewers)
		}
	}
	p.crowd(&b)
	var n notes
	p.verdict(&b, &n)
	p.aims(&b, &n)
	n.write(&b)
	return b.String()
}

const howMeasured = `## How it is measured

Loads: ` + "`typing`" + ` one character at 20/s on a page of windows; ` + "`scroll`" + ` a full-width terminal line at 60/s; ` + "`video`" + ` 640x480 photographic frames at 30/s; ` + "`pages`" + ` the whole screen replaced by another page of windows and text at 30/s; ` + "`drag`" + ` a 500x400 text window moved at 60/s; ` + "`idle`" + ` nothing. Each frame ends with a barcode of its number. The client asks what noVNC asks: Tight first, quality 6, compression 2, 32 bits RGBX, fences and continuous updates where they are offered.

x11vnc and X0tigervnc look at an Xvfb as ironglass-supervisor does; Xtigervnc is an X server itself. x11vnc runs with -wait 10 -defer 5, without which its frames are older; the others with their own settings.

- seen/s: different frames that the client showed, of those drawn. A frame that the X server was too late to take is not drawn.
- kB/s: what one viewer is sent.
- CPU: X server and RFB server together, in cores; of X: the part of an X server of its own.
- ms: a frame's age once decoded, from just before its requests were written to the X server. The client's decoding is in it.
- first: from connecting to the whole picture, in ms.
- dB: distance of the picture from the truth (peak signal-to-noise ratio) while the load runs, where frames are known beforehand, and a moment after its end.
- MB: resident memory of the RFB server; of Xtigervnc it is that of the X server too, in parentheses.
- wake-ups: how often a thread of either slept and was woken, per second.

`

// table writes the results of one size and number of viewers.
func (p *Report) table(b *strings.Builder, size image.Point, viewers int) {
	rows := p.pick(func(r *Result) bool { return r.Size == size && r.Viewers == viewers })
	if len(rows) == 0 {
		return
	}
	many := ""
	if viewers > 1 {
		many = " slowest/s |"
	}
	fmt.Fprintf(b, "## %dx%d, %s\n\n", size.X, size.Y, plural(viewers, "viewer"))
	fmt.Fprintf(b, "| load | server | seen/s | of drawn |%s kB/s | CPU | of X | ms p50 | ms p95 | first | dB moving | dB at rest | MB | wake-ups/s |\n", many)
	b.WriteString("|---|---|" + strings.Repeat("---|", 11+min(1, len(many))) + "\n")
	for _, r := range rows {
		if r.Error != "" {
			reason, _, _ := strings.Cut(r.Error, "\n")
			fmt.Fprintf(b, "| %s | %s | failed: %s |\n", r.Load, r.Server, reason)
			continue
		}
		seen, share, slowest := "-", "-", ""
		if r.Drawn > 0 {
			seen, share = short(r.Rate), fmt.Sprintf("%.1f %%", 100*r.Share())
		}
		if many != "" {
			slowest = " " + short(r.Others) + " |"
		}
		xcpu := "-"
		if r.XCPU > 0 {
			xcpu = fmt.Sprintf("%.3f", r.XCPU)
		}
		memory := fmt.Sprintf("%.0f", megabytes(r.Resident))
		if r.Server == "Xtigervnc" {
			memory = "(" + memory + ")"
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s |%s %s | %.3f | %s | %s | %s | %s | %s | %s | %s | %.0f |\n", r.Load, name(r.Server),
			seen, share, slowest, short(r.Bytes/1000), r.CPU, xcpu, ms(r.P50), ms(r.P95), ms(r.First),
			decibels(r.Moving), decibels(r.AtRest), memory, r.Wakeups)
	}
	b.WriteString("\n")
}

func name(server string) string {
	if server == Ours {
		return "**" + server + "**"
	}
	return server
}

func plural(n int, what string) string {
	if n == 1 {
		return "one " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// crowd shows what many viewers cost.
func (p *Report) crowd(b *strings.Builder) {
	crowds := p.crowds()
	if len(crowds) < 2 || crowds[0] != 1 {
		return
	}
	b.WriteString("## CPU of many viewers as a multiple of one\n\n| load | size | viewers |")
	for _, s := range p.servers() {
		fmt.Fprintf(b, " %s |", name(s))
	}
	b.WriteString("\n|---|---|---|" + strings.Repeat("---|", len(p.servers())) + "\n")
	for _, load := range p.loads() {
		if Rates[load] == 0 {
			continue
		}
		for _, size := range p.sizes() {
			for _, viewers := range crowds[1:] {
				fmt.Fprintf(b, "| %s | %dx%d | %d |", load, size.X, size.Y, viewers)
				for _, s := range p.servers() {
					one, many := p.find(load, s, size, 1), p.find(load, s, size, viewers)
					if one == nil || many == nil {
						b.WriteString(" - |")
						continue
					}
					fmt.Fprintf(b, " %.1f, %s frames/s each |", many.CPU/one.CPU, short(many.Others))
				}
				b.WriteString("\n")
			}
		}
	}
	b.WriteString("\n")
}

func (p *Report) pick(ok func(r *Result) bool) []*Result {
	var out []*Result
	for i := range p.Results {
		if ok(&p.Results[i]) {
			out = append(out, &p.Results[i])
		}
	}
	return out
}

func (p *Report) find(load, server string, size image.Point, viewers int) *Result {
	for _, r := range p.pick(func(r *Result) bool {
		return r.Load == load && r.Server == server && r.Size == size && r.Viewers == viewers && r.Error == ""
	}) {
		return r
	}
	return nil
}

// distinct returns what the results have, in the order of their first
// appearance.
func distinct[T comparable](p *Report, of func(r *Result) T) []T {
	var out []T
	for i := range p.Results {
		if v := of(&p.Results[i]); !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return out
}

func (p *Report) sizes() []image.Point {
	return distinct(p, func(r *Result) image.Point { return r.Size })
}
func (p *Report) crowds() []int {
	return slices.Sorted(slices.Values(distinct(p, func(r *Result) int { return r.Viewers })))
}
func (p *Report) servers() []string { return distinct(p, func(r *Result) string { return r.Server }) }
func (p *Report) loads() []string   { return distinct(p, func(r *Result) string { return r.Load }) }
