package config

import (
	"math"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/ironglass/ironglass/launcher/inventory"
	"github.com/ironglass/ironglass/proxy/recording"
)

// recording reads where recordings are kept.
func (d *document) recording(path string, n *yaml.Node, c *Config) {
	r := &c.Recording
	d.mapping(path, n, []key{
		{name: "dir", read: func(path string, n *yaml.Node) {
			if d.text(path, n, &r.Dir) {
				dir, err := filepath.Abs(r.Dir)
				d.check(path, n, err)
				r.Dir = dir
			}
		}},
		{name: "keep", read: func(path string, n *yaml.Node) { d.duration(path, n, "for ever", &r.Keep) }},
		{name: "max_total", read: func(path string, n *yaml.Node) {
			d.size(path, n, 0, &r.MaxTotal)
			if r.MaxTotal == 0 {
				r.MaxTotal = -1
			}
		}},
	})
}

// consoleRecording reads what is recorded of a console: a mode, or a mapping
// with one.
func (d *document) consoleRecording(path string, n *yaml.Node, r *inventory.Recording) {
	if n.Kind != yaml.MappingNode {
		// YAML 1.1 takes the word off for false; here it is what it says.
		d.text(path, n, &r.Mode)
		return
	}
	before := len(d.found)
	d.mapping(path, n, []key{
		{name: "mode", read: func(path string, n *yaml.Node) { d.text(path, n, &r.Mode) }},
		{name: "minutes", read: func(path string, n *yaml.Node) {
			var text string
			if !d.text(path, n, &text) {
				return
			}
			m, err := strconv.Atoi(text)
			if err != nil || m < inventory.MinRingMinutes || m > inventory.MaxRingMinutes {
				d.fail(n, "%s: %q is not a number of minutes from %d to %d", path, text, inventory.MinRingMinutes, inventory.MaxRingMinutes)
				return
			}
			r.Last = time.Duration(m) * time.Minute
		}},
		{name: "max_size", read: func(path string, n *yaml.Node) { d.size(path, n, recording.MinSize, &r.MaxSize) }},
	})
	if r.Mode == "" && len(d.found) == before {
		d.fail(n, "%s: mode is missing: set it to off, ring or full", path)
		*r = inventory.Recording{}
	}
}

// units are those of sizes, in bytes.
var units = map[string]int64{"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}

// size reads a number of bytes, not less than least.
func (d *document) size(path string, n *yaml.Node, least int64, into *int64) {
	var text string
	if !d.text(path, n, &text) {
		return
	}
	digits := strings.TrimRight(text, "KMGTiB ")
	unit, ok := units[strings.TrimSpace(text[len(digits):])]
	v, err := strconv.ParseInt(digits, 10, 64)
	switch {
	case err != nil || !ok || v < 0 || v > math.MaxInt64/unit:
		d.fail(n, "%s: %q is not a size: write it as in 256MiB or 10GiB", path, text)
	case v*unit < least:
		d.fail(n, "%s: %q is too little: %dMiB is the least", path, text, least>>20)
	default:
		*into = v * unit
	}
}
