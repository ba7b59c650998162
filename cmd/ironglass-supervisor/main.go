// Command ironglass-supervisor shows an X program over RFB: it runs an X
// server and the program in it, or attaches to an X server that runs, and
// serves its screen to any VNC viewer.
package main

import (
	"os"

	"github.com/ironglass/ironglass/cmd/ironglass-supervisor/internal/supervisor"
)

// version is set by the linker (-X main.version=...).
var version = "unknown"

func main() {
	os.Exit(supervisor.Main(version, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
