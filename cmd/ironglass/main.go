// Ironglass is the central service, which brings the consoles of bare-metal
// nodes into browsers, and its command line.
package main

import (
	"os"

	"github.com/ironglass/ironglass/cmd/ironglass/internal/cli"
)

// version is set by the linker.
var version = "unknown"

func main() {
	os.Exit(cli.Main(os.Args[1:], cli.Env{
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv, Version: version,
	}))
}
