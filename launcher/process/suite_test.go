package process

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/ironglass/ironglass/launcher"
	"github.com/ironglass/ironglass/launcher/launchertest"
)

// places knows what the consoles of each place are known by. That is in the
// records, so it is noted while they are there.
type places struct {
	mu  sync.Mutex
	kin map[string][]kin
}

func (p *places) note(t *testing.T, place string) {
	t.Helper()
	dir, err := runDir(place)
	if err != nil {
		t.Fatal(err)
	}
	entries, _ := os.ReadDir(dir)
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range entries {
		if rec, err := readRecord(filepath.Join(dir, e.Name())); err == nil {
			p.kin[place] = append(p.kin[place], rec.kin(false))
		}
	}
}

func TestSuite(t *testing.T) {
	program := filepath.Join(launchertest.Build(t, "ironglass-supervisor"), "ironglass-supervisor")
	seen := &places{kin: make(map[string][]kin)}
	launchertest.Suite{
		New: func(t *testing.T, place string) launcher.Launcher {
			l, err := New(t.Context(), Config{Dir: place, Supervisor: program, Log: testLog(t)})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				seen.note(t, place)
				if err := l.Close(); err != nil {
					t.Error(err)
				}
			})
			return l
		},
		Crashed: func(t *testing.T, place string, spec launcher.Spec) launcher.Instance {
			i := crashed(t, crashJob{Dir: place, Supervisor: program, Spec: spec})
			seen.note(t, place)
			return i
		},
		Kill: func(t *testing.T, place string, i launcher.Instance) {
			seen.note(t, place)
			dir, err := runDir(place)
			if err != nil {
				t.Fatal(err)
			}
			rec, err := readRecord(filepath.Join(dir, i.ID))
			if err != nil {
				t.Fatal(err)
			}
			proc, err := os.FindProcess(rec.PID)
			if err == nil {
				err = proc.Kill()
			}
			if err != nil {
				t.Fatal(err)
			}
		},
		Left: func(t *testing.T, place string) []string {
			dir, err := runDir(place)
			if err != nil {
				t.Fatal(err)
			}
			var left []string
			entries, _ := os.ReadDir(dir)
			for _, e := range entries {
				left = append(left, filepath.Join(dir, e.Name()))
			}
			seen.mu.Lock()
			defer seen.mu.Unlock()
			for _, k := range seen.kin[place] {
				pids, err := k.living()
				if err != nil {
					t.Fatal(err)
				}
				for _, pid := range pids {
					left = append(left, "process "+commandOf(pid))
				}
			}
			return left
		},
		Command:        []string{"xterm"},
		MissingCommand: []string{"ironglass-no-such-program"},
	}.Run(t)
}

// crashed runs this program as a service that starts a console, and kills the
// service as soon as it has.
func crashed(t *testing.T, job crashJob) launcher.Instance {
	t.Helper()
	text, err := json.Marshal(job)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), crashVar+"="+string(text))
	cmd.Stderr = t.Output()
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	var i launcher.Instance
	derr := json.NewDecoder(out).Decode(&i)
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if derr != nil {
		t.Fatalf("the service that was to crash said no console: %v", derr)
	}
	return i
}
