// Ironglass is the central service, which brings the consoles of bare-metal
// nodes into browsers, and its command line.
package main

import (
	"os"
	"path/filepath"

	"github.com/ironglass/ironglass/cmd/ironglass/internal/cli"
)

// version is set by the linker.
var version = "unknown"

func main() {
	args := os.Args[1:]
	if filepath.Base(os.Args[0]) == cli.EngineName {
		args = append([]string{"ironic-engine"}, args...)
	}
	os.Exit(cli.Main(args, cli.Env{
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv, Version: version,
	}))
}
