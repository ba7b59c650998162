// Package cli is ironglass's command line: the service, and commands that ask
// a running service over HTTP.
package cli

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"runtime"
	"strings"

	"github.com/ironglass/ironglass/cmd/ironglass/internal/config"
)

// Env is what a command has of the world around it.
type Env struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Getenv         func(name string) string
	// Version is that of the program.
	Version string
}

// Exit statuses.
const (
	exitOK    = 0
	exitFault = 1 // it did not work
	exitUsage = 2 // it was asked for in a wrong way, configuration included
)

// command is one of the program's commands.
type command struct {
	name string
	// operands is how they are written in the usage, with ... where the last
	// may be several; count is how many there are at least.
	operands string
	count    int
	summary  string
	// prepare defines the flags and returns what runs once they are read.
	prepare func(f *flag.FlagSet) func(env Env, operands []string) error
	// raw, in place of prepare, runs a command whose arguments are another
	// program's.
	raw func(env Env, args []string) error
}

// commands returns the commands in the order of the usage.
func commands() []command {
	return []command{
		{"serve", "", 0, "run the service", serveCommand, nil},
		{"nodes", "", 0, "list the nodes and the state of their consoles", nodesCommand, nil},
		{"open", "NODE", 1, "print the address of a node's console", openCommand, nil},
		{"token", "NODE", 1, "print a token for a node's console", tokenCommand, nil},
		{"screenshot", "NODE FILE", 2, "save a node's screen as PNG; - is standard output", screenshotCommand, nil},
		{"type", "NODE TEXT", 2, "type a text into a node's console; - is standard input", typeCommand, nil},
		{"keys", "NODE KEYS...", 2, "type keys such as Ctrl+Alt+Delete or F2 into a node's console", keysCommand, nil},
		{"power", "NODE ACTION", 2, "switch a node's power: on, off, cycle or reset; status prints it", powerCommand, nil},
		{"recordings", "NODE", 1, "list a node's recordings, or save one (-fetch)", recordingsCommand, nil},
		{"replay", "FILE", 1, "show a recording (FBS) to VNC viewers", replayCommand, nil},
		{"ironic-engine", "CALL", 1, "answer Ironic's calls of its container_executable", nil, engineCommand},
		{"version", "", 0, "print the program's version", versionCommand, nil},
	}
}

// usageError is a command that was asked for in a wrong way.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// Main runs the command that args, without the program's name, ask for, and
// returns the exit status. The last line on standard error says what was
// wrong.
func Main(args []string, env Env) int {
	err := run(args, env)
	var wrong usageError
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, flag.ErrHelp):
		return exitOK // run has printed it
	}
	for _, line := range strings.Split(err.Error(), "\n") {
		fmt.Fprintf(env.Stderr, "ironglass: %s\n", line)
	}
	if errors.As(err, &wrong) {
		return exitUsage
	}
	return exitFault
}

func run(args []string, env Env) error {
	if len(args) == 0 {
		usage(env.Stderr)
		return usagef("which command? Use one of %s", names())
	}
	name := args[0]
	if name == "help" || name == "-h" || name == "-help" || name == "--help" {
		usage(env.Stdout)
		return nil
	}
	for _, c := range commands() {
		if c.name == name && c.raw != nil {
			return c.raw(env, args[1:])
		}
		if c.name == name {
			return c.run(args[1:], env)
		}
	}
	return usagef("unknown command %q: use one of %s", name, names())
}

func names() string {
	var list []string
	for _, c := range commands() {
		list = append(list, c.name)
	}
	return strings.Join(list, ", ")
}

func usage(w io.Writer) {
	fmt.Fprintf(w, "ironglass brings the consoles of bare-metal nodes into browsers.\n\n")
	for _, c := range commands() {
		fmt.Fprintf(w, "  %-30s %s\n", "ironglass "+strings.TrimSpace(c.name+" "+c.operands), c.summary)
	}
	fmt.Fprintf(w, "\nironglass COMMAND -h lists the flags of a command.\n")
}

// run reads the arguments, in which flags and operands may be mixed, and runs
// the command.
func (c command) run(args []string, env Env) error {
	f := flag.NewFlagSet(c.name, flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.Usage = func() {}
	perform := c.prepare(f)
	var operands []string
	for {
		if err := f.Parse(args); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				c.help(f, env.Stdout)
				return err
			}
			return usagef("%s: %w (ironglass %s -h lists the flags)", c.name, err, c.name)
		}
		rest := f.Args()
		// What follows "--" is operands only.
		if n := len(args) - len(rest); n > 0 && args[n-1] == "--" {
			operands = append(operands, rest...)
			break
		}
		if len(rest) == 0 {
			break
		}
		operands, args = append(operands, rest[0]), rest[1:]
	}
	switch {
	case len(operands) < c.count:
		return usagef("%s: %s missing: ironglass %s %s", c.name, strings.Join(strings.Fields(c.operands)[len(operands):], " and "), c.name, c.operands)
	case len(operands) > c.count && !strings.HasSuffix(c.operands, "..."):
		return usagef("%s: what is %q for? The command is: ironglass %s", c.name, operands[c.count], strings.TrimSpace(c.name+" "+c.operands))
	}
	return perform(env, operands)
}

func (c command) help(f *flag.FlagSet, w io.Writer) {
	fmt.Fprintf(w, "ironglass %s: %s.\n", strings.TrimSpace(c.name+" "+c.operands), c.summary)
	f.SetOutput(w)
	f.PrintDefaults()
}

// asUsage makes what is wrong with a configuration exit status 2.
func asUsage(c *config.Config, err error) (*config.Config, error) {
	if err != nil {
		return nil, usageError{err}
	}
	return c, nil
}

func versionCommand(*flag.FlagSet) func(Env, []string) error {
	return func(env Env, _ []string) error {
		_, err := fmt.Fprintf(env.Stdout, "ironglass %s %s %s/%s\n", env.Version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
		return err
	}
}
