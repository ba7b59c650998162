package launchertest

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Build builds programs of this module as they are released and returns the
// folder that holds them, which goes with the test. The names are those of
// folders below cmd.
func Build(t testing.TB, programs ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, p := range programs {
		cmd := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(dir, p), "github.com/ironglass/ironglass/cmd/"+p)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("build %s: %v\n%s", p, err, out)
		}
	}
	return dir
}
