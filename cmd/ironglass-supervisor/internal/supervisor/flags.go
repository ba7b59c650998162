package supervisor

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
)

// program is what this program calls itself in messages.
const program = "ironglass-supervisor"

// arguments is what the command line says.
type arguments struct {
	given   values
	config  string // the document's file, "-" for standard input, "" for none
	version bool
	help    bool
}

// parseArguments reads the command line without the program's name.
func parseArguments(args []string) (arguments, error) {
	a := arguments{given: make(values)}
	fs := flag.NewFlagSet(program, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.StringVar(&a.config, "config", "", "")
	fs.BoolVar(&a.version, "version", false, "")
	for _, row := range table() {
		where := "-" + row.name
		switch {
		case row.document:
		case row.kind == toggle:
			fs.BoolFunc(row.name, "", func(text string) error {
				if text != "true" && text != "false" {
					return errors.New("it is true or false")
				}
				a.given[row.name] = value{where: where, text: text}
				return nil
			})
		default:
			fs.Func(row.name, "", func(text string) error {
				a.given[row.name] = value{where: where, text: text, list: splitList(text)}
				return nil
			})
		}
	}
	switch err := fs.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		a.help = true
		return a, nil
	case err != nil:
		return a, fmt.Errorf("%w: %s -h shows the flags", err, program)
	}
	if n := fs.NArg(); n > 0 {
		if at := len(args) - n - 1; at < 0 || args[at] != "--" {
			return a, fmt.Errorf("unexpected argument %q: the command goes after --", fs.Arg(0))
		}
		a.given["command"] = value{where: "the command", list: fs.Args()}
	}
	return a, nil
}

// splitList reads a list as flags have it: a,b. An empty text is an empty list.
func splitList(text string) []string {
	if text == "" {
		return nil
	}
	names := strings.Split(text, ",")
	for i := range names {
		names[i] = strings.TrimSpace(names[i])
	}
	return names
}

// merge puts what the command line gives over what the document gives.
func (a arguments) merge(document values) values {
	all := make(values, len(a.given)+len(document))
	for name, v := range document {
		all[name] = v
	}
	for name, v := range a.given {
		all[name] = v
	}
	return all
}

// usage writes what -h shows.
func usage(w io.Writer) {
	var b strings.Builder
	fmt.Fprintf(&b, "usage: %s [flags] [-- command args...]\n\n"+
		"Runs the command in an X server of its own, or attaches to a running one,\n"+
		"and serves its screen to VNC viewers.\n\nFlags:\n", program)
	for _, row := range table() {
		if row.document {
			continue
		}
		lines := row.usage
		if row.def != "" {
			lines = append([]string(nil), lines...)
			last := &lines[len(lines)-1]
			*last = strings.TrimSpace(*last + " (default " + row.def + ")")
		}
		flagUsage(&b, strings.TrimSpace("-"+row.name+" "+row.arg), lines)
	}
	flagUsage(&b, "-config FILE", []string{
		"read the same settings from a JSON document, - for",
		"standard input: names are the flags' with _ for -, and",
		"\"command\" is a list; flags go over it",
	})
	flagUsage(&b, "-version", []string{"show the version"})
	flagUsage(&b, "-h", []string{"show this"})
	b.WriteString("\nExit status: 0 when asked to stop or idle, 1 for a fault at run time, 2 for\nbad usage; the last line on standard error says why.\n")
	_, _ = io.WriteString(w, b.String())
}

func flagUsage(b *strings.Builder, flag string, lines []string) {
	fmt.Fprintf(b, "  %-20s %s\n", flag, lines[0])
	for _, l := range lines[1:] {
		fmt.Fprintf(b, "  %-20s %s\n", "", l)
	}
}
