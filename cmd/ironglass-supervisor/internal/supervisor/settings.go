package supervisor

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/go-multierror"

	"github.com/ironglass/ironglass/x11"
)

// The limits of the screen's width and height, in pixels.
const (
	minSize = 64
	maxSize = 8192
)

// settings is what a supervisor is asked to be. It is not changed once it
// was resolved.
type settings struct {
	listen        address
	display       string
	framebuffer   string
	width, height int
	secured       secured
	insecure      bool
	viewOnly      bool
	name          string
	clipboard     x11.Selections
	idleExit      time.Duration // 0 is never
	onDemand      time.Duration // 0: the command runs always
	logLevel      slog.Level
	metrics       string // host:port, "" is none
	runtimeDir    string
	command       []string
}

// kind is how a setting is written in a document; as a flag, all but
// switches are text.
type kind uint8

const (
	text kind = iota
	toggle
	list
)

// setting is one row of the table of settings: a flag, and a key of the
// document, which is the flag's name with - turned into _.
type setting struct {
	name string
	arg  string // what the value is called in the usage
	kind kind
	def  string // the default, "" where there is none
	// usage is the text for -h, a line each.
	usage []string
	// apply takes the value over. It sees what rows above it have set.
	apply func(s *settings, v value) error
	// document says that there is no such flag.
	document bool
}

// key is the setting's name in a document.
func (s setting) key() string { return strings.ReplaceAll(s.name, "-", "_") }

// value is what was given for a setting.
type value struct {
	// where it was given, for messages: -geometry, or FILE:3: "geometry".
	where string
	text  string   // of kind text, and "true" or "false" of kind toggle
	list  []string // of kind list
	// document says that it was given in a document, which may hold secrets.
	document bool
}

// values are what was given, by the settings' names.
type values map[string]value

// table returns the settings in the order of the usage.
func table() []setting {
	return slices.Concat(displaySettings(), securitySettings(), serverSettings())
}

// displaySettings are what is shown and where.
func displaySettings() []setting {
	return []setting{
		{
			name: "listen", arg: "ADDR", def: "127.0.0.1:5900",
			usage: []string{"serve RFB on ADDR, host:port or unix:PATH", ""},
			apply: func(s *settings, v value) (err error) { s.listen, err = parseAddress(v.text); return err },
		},
		{
			name: "display", arg: ":N",
			usage: []string{"attach to the X server :N; without it one is started", "(Xvfb), and ended at exit"},
			apply: func(s *settings, v value) error { s.display = v.text; return checkDisplay(v.text) },
		},
		{
			name: "framebuffer", arg: "FILE",
			usage: []string{"with -display: the file that an Xvfb run with -fbdir", "keeps its screen in"},
			apply: func(s *settings, v value) error {
				s.framebuffer = v.text
				if s.display == "" {
					return errors.New("is usable with -display only: a supervisor's own X server has one by itself")
				}
				return nil
			},
		},
		{
			name: "geometry", arg: "WxH", def: "1280x1024",
			usage: []string{"size of the X server's screen in pixels,", fmt.Sprintf("%[1]dx%[1]d to %[2]dx%[2]d", minSize, maxSize)},
			apply: func(s *settings, v value) (err error) { s.width, s.height, err = parseGeometry(v.text); return err },
		},
	}
}

// serverSettings are how it is shown, and what is run.
func serverSettings() []setting {
	return []setting{
		{
			name: "view-only", kind: toggle,
			usage: []string{"drop the viewers' keys and pointer"},
			apply: func(s *settings, v value) error { s.viewOnly = v.text == "true"; return nil },
		},
		{
			name: "clipboard", arg: "WHICH", def: "both",
			usage: []string{"the X selections that are the viewers' clipboard:", "clipboard, which is copied, primary, which is marked,", "both, or off"},
			apply: func(s *settings, v value) (err error) { s.clipboard, err = parseClipboard(v.text); return err },
		},
		{
			name: "name", arg: "TEXT", def: "ironglass",
			usage: []string{"name of the desktop"},
			apply: func(s *settings, v value) (err error) { s.name, err = parseName(v.text); return err },
		},
		{
			name: "idle-exit", arg: "DURATION", def: "0",
			usage: []string{"end after so long without a viewer, as in 90s or 1h30m;", "0 is never"},
			apply: func(s *settings, v value) (err error) {
				s.idleExit, err = parseDuration(v.text, "for never")
				return err
			},
		},
		{
			name: "log-level", arg: "LEVEL", def: "info",
			usage: []string{"what to log on standard error: debug, info, warn, error", ""},
			apply: func(s *settings, v value) (err error) { s.logLevel, err = parseLevel(v.text); return err },
		},
		{
			name: "metrics", arg: "ADDR",
			usage: []string{"serve Prometheus metrics at http://ADDR/metrics, on a", "loopback address"},
			apply: func(s *settings, v value) error { s.metrics = v.text; return checkMetrics(v.text) },
		},
		{
			name: "runtime-dir", arg: "DIR",
			usage: []string{"where the X server's files lie while it runs; default:", "XDG_RUNTIME_DIR, else the folder for temporary files"},
			apply: func(s *settings, v value) error { s.runtimeDir = v.text; return checkFolder(v.text) },
		},
		{
			name: "command", kind: list, document: true,
			apply: func(s *settings, v value) error {
				s.command = v.list
				if len(v.list) > 0 && v.list[0] == "" {
					return errors.New("the program's name is empty")
				}
				return nil
			},
		},
		{
			name: "on-demand", arg: "DURATION", def: "0",
			usage: []string{"start the command with the first viewer, and end it so", "long after the last has left; 0 runs it always", ""},
			apply: func(s *settings, v value) (err error) {
				if s.onDemand, err = parseDuration(v.text, "to run it always"); err == nil && s.onDemand > 0 && len(s.command) == 0 {
					return errors.New("is usable with a command only: give one after --")
				}
				return err
			},
		},
	}
}

// resolve makes settings of what was given. All errors are returned at once.
func resolve(given values) (settings, error) {
	var s settings
	var errs *multierror.Error
	for _, row := range table() {
		v, ok := given[row.name]
		if !ok {
			if row.def == "" {
				continue
			}
			v = value{where: "-" + row.name, text: row.def, list: []string{row.def}}
		}
		if err := row.apply(&s, v); err != nil {
			errs = multierror.Append(errs, fmt.Errorf("%s: %w", v.where, err))
		}
	}
	if errs == nil {
		errs = multierror.Append(errs, s.secured.build())
	}
	return s, errs.ErrorOrNil()
}

func parseGeometry(text string) (width, height int, err error) {
	w, h, ok := strings.Cut(text, "x")
	width, errW := parseSize(w)
	height, errH := parseSize(h)
	if !ok || errW != nil || errH != nil {
		return 0, 0, fmt.Errorf("%q is not a size in pixels: write it as in 1280x1024", text)
	}
	if min(width, height) < minSize || max(width, height) > maxSize {
		return 0, 0, fmt.Errorf("%q is out of range: %[2]dx%[2]d to %[3]dx%[3]d pixels are possible", text, minSize, maxSize)
	}
	return width, height, nil
}

// parseSize reads digits, and no sign.
func parseSize(text string) (int, error) {
	n, err := strconv.ParseUint(text, 10, 64)
	if errors.Is(err, strconv.ErrRange) {
		return math.MaxInt, nil // a size all the same, if not a possible one
	}
	return int(min(n, math.MaxInt)), err
}

func parseName(text string) (string, error) {
	if len(text) > 255 || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return "", errors.New("the name is longer than 255 bytes or has control characters")
	}
	return text, nil
}

// parseDuration reads a duration. none is what 0 is good for.
func parseDuration(text, none string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%q is not a duration: write it as in 90s or 1h30m, or 0 %s", text, none)
	}
	return d, nil
}

func parseClipboard(text string) (x11.Selections, error) {
	switch text {
	case "both":
		return x11.SelectionsBoth, nil
	case "clipboard":
		return x11.SelectionsClipboard, nil
	case "primary":
		return x11.SelectionsPrimary, nil
	case "off":
		return x11.SelectionsNone, nil
	}
	return 0, fmt.Errorf("%q is not one of both, clipboard, primary, off", text)
}

func parseLevel(text string) (slog.Level, error) {
	switch text {
	case "debug":
		return slog.LevelDebug, nil
	case "info":
		return slog.LevelInfo, nil
	case "warn":
		return slog.LevelWarn, nil
	case "error":
		return slog.LevelError, nil
	}
	return 0, fmt.Errorf("%q is not one of debug, info, warn, error", text)
}

func checkDisplay(text string) error {
	if i := strings.LastIndexByte(text, ':'); i < 0 || i == len(text)-1 || strings.Trim(text[i+1:], "0123456789.") != "" {
		return fmt.Errorf("%q is not a display: write it as in :0", text)
	}
	return nil
}

func checkFolder(dir string) error {
	switch info, err := os.Stat(dir); {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("the folder %s does not exist: make it, or choose another", dir)
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%s is not a folder", dir)
	}
	return nil
}
