package loads

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// measure is one that is compared with the best peer's; less is better.
type measure string

// The measures.
const (
	measureCPU      measure = "CPU"
	measureP50      measure = "age p50"
	measureP95      measure = "age p95"
	measureBytes    measure = "bytes"
	measureFirst    measure = "first picture"
	measureSeen     measure = "frames not seen"
	measureResident measure = "resident memory"
	measureCrowd    measure = "CPU of many"
)

// metric is how a measure is had.
type metric struct {
	measure measure
	unit    string
	none    float64 // what is as good as nothing
	of      func(r *Result) float64
}

var metrics = []metric{
	{measureCPU, "cores", 0.002, func(r *Result) float64 { return r.CPU }},
	{measureP50, "ms", 0, func(r *Result) float64 { return r.P50.Seconds() * 1000 }},
	{measureP95, "ms", 0, func(r *Result) float64 { return r.P95.Seconds() * 1000 }},
	{measureBytes, "kB/s", 0.1, func(r *Result) float64 { return r.Bytes / 1000 }},
	{measureFirst, "ms", 0, func(r *Result) float64 { return r.First.Seconds() * 1000 }},
}

// verdict lists where a peer is better, by how much and why.
func (p *Report) verdict(b *strings.Builder, n *notes) {
	var lost []string
	compared := 0
	for _, ours := range p.ours() {
		for _, m := range metrics {
			best := p.best(ours, m)
			if best == nil || Rates[ours.Load] == 0 && (m.measure == measureP50 || m.measure == measureP95) {
				continue
			}
			compared++
			if a, z := m.of(ours), m.of(best); a > max(z, m.none) {
				lost = append(lost, fmt.Sprintf("| %s | %s, %s | %s | %s of %s | %s | %s |", cell(ours),
					m.measure, m.unit, short3(a), short3(z), best.Server, ratio(a, z), n.of(ours, m.measure, best.Server)))
			}
		}
	}
	fmt.Fprintf(b, "## Where a peer is better\n\nCPU, the frames' ages, bytes and the first picture are compared with the best peer of each cell: of those that showed at least 90 %% as many frames. Less than 0.002 cores or 0.1 kB/s counts as nothing. Of %d comparisons %d are lost", compared, len(lost))
	table(b, "| load | size | viewers | what | ironglass | the best peer | ratio | why |", lost)
}

// aim is what ironglass is to reach, whatever the peers do.
type aim struct {
	measure measure
	unit    string
	most    float64
	of      func(p *Report, r *Result) (value float64, ok bool) // ok: it is an aim in this cell
}

var aims = []aim{
	{measureSeen, "%", 1, func(_ *Report, r *Result) (float64, bool) { return 100 * (1 - r.Share()), Rates[r.Load] > 0 }},
	{measureP50, "ms", 2, func(_ *Report, r *Result) (float64, bool) {
		return r.P50.Seconds() * 1000, r.Load == "typing" && r.Viewers == 1
	}},
	{measureFirst, "ms", 30, func(_ *Report, r *Result) (float64, bool) { return r.First.Seconds() * 1000, r.Viewers == 1 }},
	{measureResident, "MB", 20, func(_ *Report, r *Result) (float64, bool) { return megabytes(r.Resident), r.Viewers == 1 }},
	{measureCPU, "cores", 0.002, func(_ *Report, r *Result) (float64, bool) { return r.CPU, r.Load == "idle" }},
	{measureCrowd, "times one", 2, func(p *Report, r *Result) (float64, bool) {
		one := p.find(r.Load, r.Server, r.Size, 1)
		if one == nil || one.CPU == 0 || r.Viewers == 1 || r.Load != "video" && r.Load != "pages" {
			return 0, false
		}
		return r.CPU / one.CPU, true
	}},
}

// aims lists what was aimed at and missed.
func (p *Report) aims(b *strings.Builder, n *notes) {
	var missed []string
	checked := 0
	for _, r := range p.ours() {
		for _, a := range aims {
			value, ok := a.of(p, r)
			if !ok {
				continue
			}
			if checked++; value > a.most {
				missed = append(missed, fmt.Sprintf("| %s | %s, %s | %s | %s | %s | %s |", cell(r),
					a.measure, a.unit, short3(value), short(a.most), ratio(value, a.most), n.of(r, a.measure, "")))
			}
		}
	}
	fmt.Fprintf(b, "\n## Aims\n\nWhatever the peers do: at most 1 %% of the frames drawn are not seen, and at most 0.002 cores are used while nothing happens; for one viewer, a typed character is at most 2 ms old and the first picture 30 ms, and 20 MB are resident beside Xvfb; many viewers of `video` and of `pages` cost at most twice the CPU of one. Of %d aims %d are missed", checked, len(missed))
	table(b, "| load | size | viewers | what | ironglass | at most | ratio | why |", missed)
}

// table ends a sentence and writes the rows that it speaks of.
func table(b *strings.Builder, head string, rows []string) {
	if len(rows) == 0 {
		b.WriteString(".\n")
		return
	}
	columns := strings.Count(head, "|") - 1
	b.WriteString(":\n\n" + head + "\n|" + strings.Repeat("---|", columns) + "\n" + strings.Join(rows, "\n") + "\n")
}

func cell(r *Result) string {
	return fmt.Sprintf("%s | %dx%d | %d", r.Load, r.Size.X, r.Size.Y, r.Viewers)
}

func ratio(a, z float64) string {
	if z == 0 {
		return "-"
	}
	return strconv.FormatFloat(a/z, 'f', 2, 64)
}

func short3(v float64) string {
	if v < 10 {
		return strconv.FormatFloat(v, 'f', 3, 64)
	}
	return short(v)
}

// ours are the results of Ours.
func (p *Report) ours() []*Result {
	return p.pick(func(r *Result) bool { return r.Server == Ours && r.Error == "" })
}

// best is the peer that is the best by a metric in the cell of ours.
func (p *Report) best(ours *Result, m metric) *Result {
	var best *Result
	for _, r := range p.pick(func(r *Result) bool {
		return r.Server != Ours && r.Server != Attached && r.Error == "" && r.Load == ours.Load && r.Size == ours.Size &&
			r.Viewers == ours.Viewers && min(r.Rate, r.Others) >= 0.9*min(ours.Rate, ours.Others)
	}) {
		if best == nil || m.of(r) < m.of(best) {
			best = r
		}
	}
	return best
}

// notes are the reasons that a page has given so far, which its rows refer to
// by number.
type notes struct{ texts []string }

// of is the number of the reason for a lost comparison or, without a peer, a
// missed aim.
func (n *notes) of(r *Result, m measure, peer string) string {
	text := why(r.Load, m, peer)
	at := slices.Index(n.texts, text)
	if at < 0 {
		at = len(n.texts)
		n.texts = append(n.texts, text)
	}
	return strconv.Itoa(at + 1)
}

func (n *notes) write(b *strings.Builder) {
	if len(n.texts) == 0 {
		return
	}
	b.WriteString("\n## Why\n\n")
	for i, t := range n.texts {
		fmt.Fprintf(b, "%d. %s\n", i+1, t)
	}
}
