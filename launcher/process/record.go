package process

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/ironglass/ironglass/launcher"
)

// record is what an instance's directory says about it, for the service that
// comes after a crash. It never holds a secret.
type record struct {
	Node  string `json:"node"`
	UUID  string `json:"uuid,omitempty"`
	Epoch string `json:"epoch"`
	// PID names the supervisor together with Started, in clock ticks since
	// boot, and Boot, the boot they count from: numbers are used again.
	PID     int    `json:"pid"`
	Started uint64 `json:"started"`
	Boot    string `json:"boot"`
}

// maxRecord caps what is read back; names are short.
const maxRecord = 64 << 10

// write stores the record in dir, whole or not at all.
func (r record) write(dir string) error {
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	name := filepath.Join(dir, recordName)
	if err := os.WriteFile(name+".new", append(b, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(name+".new", name)
}

// readRecord reads and checks the record in dir.
func readRecord(dir string) (record, error) {
	var r record
	name := filepath.Join(dir, recordName)
	st, err := os.Stat(name)
	if err != nil {
		return r, err
	}
	if st.Size() > maxRecord {
		return r, fmt.Errorf("%s is too long (%d bytes)", name, st.Size())
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return r, err
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	if err := dec.Decode(&r); err != nil {
		return r, fmt.Errorf("%s: %w", name, err)
	}
	if r.Node == "" || r.Epoch == "" || r.PID <= 1 {
		return r, fmt.Errorf("%s: node, epoch or pid is missing", name)
	}
	return r, nil
}

// kin returns what the instance's processes are known by; sure is whether the
// number of its session still means it.
func (r record) kin(sure bool) kin {
	k := kin{variable: marker(r.Epoch)}
	if sure {
		k.session = r.PID
	}
	return k
}

// settings is the document that a supervisor reads on its standard input.
// The names are its flags', with _ for -.
type settings struct {
	Listen     string   `json:"listen"`
	Name       string   `json:"name"`
	Geometry   string   `json:"geometry,omitempty"`
	ViewOnly   bool     `json:"view_only,omitempty"`
	Command    []string `json:"command"`
	Security   []string `json:"security"`
	IdleExit   string   `json:"idle_exit,omitempty"`
	RuntimeDir string   `json:"runtime_dir"`
}

// settings returns what the supervisor in dir is told for spec.
func (l *Launcher) settings(dir string, spec launcher.Spec) settings {
	s := settings{
		Listen:   "unix:" + filepath.Join(dir, socketName),
		Name:     spec.Node,
		ViewOnly: spec.ViewOnly,
		Command:  spec.Command,
		// The socket lies in a directory that only this user may enter.
		Security:   []string{"none"},
		RuntimeDir: filepath.Join(dir, runName),
	}
	if spec.Width > 0 || spec.Height > 0 {
		s.Geometry = fmt.Sprintf("%dx%d", spec.Width, spec.Height)
	}
	if l.cfg.IdleExit > 0 {
		s.IdleExit = l.cfg.IdleExit.String()
	}
	return s
}

// check refuses a Spec that no supervisor could run.
func check(spec launcher.Spec) error {
	switch {
	case spec.Node == "":
		return errors.New("the spec names no node")
	case len(spec.Command) == 0 || spec.Command[0] == "":
		return errors.New("there is no command to run: set console.command")
	case spec.Width < 0 || spec.Height < 0 || (spec.Width == 0) != (spec.Height == 0):
		return fmt.Errorf("a screen of %dx%d pixels cannot be: set both sides or neither", spec.Width, spec.Height)
	}
	return nil
}

// passed lists the variables of the service's environment that a console
// gets. Anything else may be a secret of the service, or mean something to
// the supervisor that is not meant here; a command that needs more is run
// through env(1).
var passed = []string{"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR", "XDG_DATA_DIRS", "XDG_CONFIG_DIRS"}

// marker is the variable that the processes of an instance are known by.
func marker(epoch string) string { return "IRONGLASS_EPOCH=" + epoch }

// environment selects from env what a console may see.
func environment(env []string) []string {
	var kept []string
	for _, e := range env {
		name, _, _ := strings.Cut(e, "=")
		if strings.HasPrefix(name, "LC_") {
			kept = append(kept, e)
			continue
		}
		for _, p := range passed {
			if name == p {
				kept = append(kept, e)
			}
		}
	}
	return kept
}
