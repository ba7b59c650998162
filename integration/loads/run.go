package loads

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Build builds what is measured as it is shipped, and what draws, into dir. It
// runs in the repository.
func Build(ctx context.Context, dir string) (Programs, error) {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-o", dir+"/",
		"./cmd/ironglass", "./cmd/ironglass-supervisor", "./integration/xload")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return Programs{}, fmt.Errorf("building the programs (run this in the repository): %w\n%s", err, out)
	}
	return Programs{
		Supervisor: filepath.Join(dir, "ironglass-supervisor"), Service: filepath.Join(dir, "ironglass"), Load: filepath.Join(dir, "xload"),
	}, nil
}

// Keep writes the figures so far to a file, so that a run that is cut off is
// not lost; "" is no file.
func Keep(file string, figures any) error {
	if file == "" {
		return nil
	}
	b, err := json.MarshalIndent(figures, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(file, b, 0o644) //nolint:gosec // for others to read
}

// Kept reads what Keep has written.
func Kept(file string, figures any) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, figures); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}
