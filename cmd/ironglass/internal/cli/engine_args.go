package cli

import (
	"regexp"
	"slices"
	"strings"

	"github.com/ironglass/ironglass/launcher/inventory"
)

// EngineName is the name under which the program is Ironic's container engine
// and nothing else.
const EngineName = "ironglass-ironic-engine"

// Labels that Ironic gives its consoles.
const (
	labelNode      = "org.openstack.ironic.node"
	labelConductor = "org.openstack.ironic.conductor"
)

// consolePrefix is how the names of Ironic's consoles begin; the node's UUID
// follows.
const consolePrefix = "ironic-console-"

// containerForm is what can be a container's name or ID.
var containerForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$`)

// containerRun is a call of run.
type containerRun struct {
	name, image string
	labels      map[string]string
	env         map[string]string // of what was given with a value
	detach      bool
}

// engineArgs is what follows a word such as run: options of the given names,
// each with a value or without, and then operands. A value may be joined to
// its option by an equals sign.
func engineArgs(word string, args []string, valued, bare []string, option func(name, value string)) (operands []string, err error) {
	for len(args) > 0 {
		arg := args[0]
		if !strings.HasPrefix(arg, "-") {
			return args, nil
		}
		args = args[1:]
		name, value, joined := strings.Cut(arg, "=")
		switch {
		case slices.Contains(bare, name) && !joined:
			option(name, "")
		case !slices.Contains(valued, name):
			return nil, usagef("%s: the option %.80s is none that Ironic is known to use", word, name)
		case joined:
			option(name, value)
		case len(args) == 0:
			return nil, usagef("%s: the value of %s is missing", word, name)
		default:
			option(name, args[0])
			args = args[1:]
		}
	}
	return nil, nil
}

// parseRun reads a call of run.
func parseRun(args []string) (containerRun, error) {
	r := containerRun{labels: make(map[string]string), env: make(map[string]string)}
	operands, err := engineArgs("run", args,
		[]string{"--name", "--label", "--publish", "--pull", "--env"}, []string{"--detach", "--rm"},
		func(name, value string) {
			key, rest, given := strings.Cut(value, "=")
			switch name {
			case "--detach":
				r.detach = true
			case "--name":
				r.name = value
			case "--label":
				r.labels[key] = rest
			case "--env":
				if given {
					r.env[key] = rest
				}
			}
		})
	switch node := r.labels[labelNode]; {
	case err != nil:
		return r, err
	case len(operands) != 1:
		return r, usagef("run: one image is to follow the options, and nothing more")
	case !r.detach:
		return r, usagef("run: only --detach is possible")
	case !inventory.IsUUID(node):
		return r, usagef("run: the label %s names no node's UUID", labelNode)
	case r.name != consolePrefix+node:
		return r, usagef("run: the name is to be %s%s", consolePrefix, node)
	}
	r.image = operands[0]
	return r, nil
}

// parsePS reads a call of ps and returns the conductor whose consoles are
// asked for.
func parsePS(args []string) (conductor string, err error) {
	filter, quiet := "", false
	operands, err := engineArgs("ps", args, []string{"--filter"}, []string{"--all", "--quiet"}, func(name, value string) {
		switch name {
		case "--filter":
			filter = value
		case "--quiet":
			quiet = true
		}
	})
	conductor, ok := strings.CutPrefix(filter, "label="+labelConductor+"=")
	switch {
	case err != nil:
		return "", err
	case len(operands) > 0 || !quiet || !ok || conductor == "":
		return "", usagef("ps: it is to be: ps --all --quiet --filter label=%s=HOST", labelConductor)
	}
	return conductor, nil
}

// parseOne reads what is asked of one container.
func parseOne(word string, args, bare []string, more int) (id string, operands []string, err error) {
	operands, err = engineArgs(word, args, nil, bare, func(string, string) {})
	switch {
	case err != nil:
		return "", nil, err
	case len(operands) != 1+more:
		return "", nil, usagef("%s: one name is to follow", word)
	case !containerForm.MatchString(operands[0]):
		return "", nil, usagef("%s: %.80q cannot be a container's name", word, operands[0])
	}
	return operands[0], operands[1:], nil
}
