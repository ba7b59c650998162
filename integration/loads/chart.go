package loads

import (
	"fmt"
	"html"
	"strings"
)

// The chart's measures, in pixels.
const (
	chartLeft   = 150 // for the names
	panelWidth  = 210
	panelGap    = 28
	barHeight   = 13
	groupGap    = 14
	chartTop    = 66
	valueMargin = 58 // right of the longest bar, for its figure
)

// colours of the servers, legible on white and on black.
var colours = map[string]string{
	Ours: "#2f81f7", Attached: "#79b8ff", "x11vnc": "#8b949e", "X0tigervnc": "#b08800", "Xtigervnc": "#d1602b",
}

// panel is one column of bars.
type panel struct {
	title   string
	viewers int
	of      func(r *Result) float64
	format  string
}

// Chart is an SVG of the first size: for each load the servers side by side.
// Its colours follow the reader's choice of light or dark.
func (p *Report) Chart() string {
	sizes, crowds := p.sizes(), p.crowds()
	if len(sizes) == 0 {
		return `<svg xmlns="http://www.w3.org/2000/svg"/>`
	}
	size := sizes[0]
	panels := []panel{
		{"CPU, cores", crowds[0], func(r *Result) float64 { return r.CPU }, "%.3f"},
		{"age of frames, p95, ms", crowds[0], func(r *Result) float64 { return r.P95.Seconds() * 1000 }, "%.1f"},
		{"bytes, kB/s", crowds[0], func(r *Result) float64 { return r.Bytes / 1000 }, "%.0f"},
	}
	if most := crowds[len(crowds)-1]; most > crowds[0] {
		panels = append(panels, panel{fmt.Sprintf("CPU for %d viewers, cores", most), most, func(r *Result) float64 { return r.CPU }, "%.2f"})
	}
	servers, loads := p.servers(), p.loads()
	group := len(servers)*barHeight + groupGap
	width := chartLeft + len(panels)*(panelWidth+panelGap)
	height := chartTop + len(loads)*group + 10
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" font-family="system-ui, sans-serif" font-size="11">
<title>ironglass-supervisor and its peers: CPU, age of frames and bytes in each load, %dx%d; shorter is better</title>
<style>text{fill:#1f2328}.dim{fill:#59636e}.axis{stroke:#d1d9e0}@media (prefers-color-scheme:dark){text{fill:#f0f6fc}.dim{fill:#9198a1}.axis{stroke:#3d444d}}</style>
`, width, height, width, height, size.X, size.Y)
	x := chartLeft
	for _, s := range servers {
		fmt.Fprintf(&b, `<rect x="%d" y="10" width="10" height="10" fill="%s"/><text x="%d" y="19">%s</text>`+"\n", x, colour(s), x+15, html.EscapeString(s))
		x += 35 + 7*len(s)
	}
	fmt.Fprintf(&b, `<text class="dim" x="%d" y="19">%dx%d, %s, shorter is better</text>`+"\n", x+10, size.X, size.Y, plural(crowds[0], "viewer"))
	for i, load := range loads {
		y := chartTop + i*group + len(servers)*barHeight/2 + 5
		fmt.Fprintf(&b, `<text x="%d" y="%d" font-size="14" font-weight="600" text-anchor="end">%s</text>`+"\n", chartLeft-58, y, load)
		if rate := Rates[load]; rate > 0 {
			fmt.Fprintf(&b, `<text class="dim" x="%d" y="%d" text-anchor="end">%d/s</text>`+"\n", chartLeft-20, y, rate)
		}
	}
	for i, panel := range panels {
		left := chartLeft + i*(panelWidth+panelGap)
		fmt.Fprintf(&b, `<text x="%d" y="%d" font-weight="600">%s</text>`+"\n", left, chartTop-12, panel.title)
		fmt.Fprintf(&b, `<line class="axis" x1="%d" y1="%d" x2="%d" y2="%d"/>`+"\n", left, chartTop-4, left, height-12)
		most := 0.0
		for _, r := range p.pick(func(r *Result) bool { return r.Size == size && r.Viewers == panel.viewers }) {
			most = max(most, panel.of(r))
		}
		for j, load := range loads {
			for k, server := range servers {
				r := p.find(load, server, size, panel.viewers)
				if r == nil {
					continue
				}
				y := chartTop + j*group + k*barHeight
				v := panel.of(r)
				if v == 0 && Rates[load] == 0 && i == 1 {
					continue // an idle screen has no frames
				}
				w := 0.0
				if most > 0 {
					w = v / most * (panelWidth - valueMargin)
				}
				fmt.Fprintf(&b, `<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/><text x="%.1f" y="%d" font-size="10">`+panel.format+`</text>`+"\n",
					left+1, y, max(w, 0.5), barHeight-2, colour(server), float64(left)+w+5, y+barHeight-4, v)
			}
		}
	}
	b.WriteString("</svg>\n")
	return b.String()
}

func colour(server string) string {
	if c, ok := colours[server]; ok {
		return c
	}
	return "#8957e5"
}
