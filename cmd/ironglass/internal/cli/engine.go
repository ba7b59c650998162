package cli

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/ironglass/ironglass/cmd/ironglass/internal/config"
)

// defaultEngineConfig is where the engine's settings are, unless
// IRONGLASS_ENGINE_CONFIG names another file. It need not be there.
const defaultEngineConfig = "/etc/ironglass/ironic-engine.yaml"

// engineLook is the time between two looks at a console that is being ended.
const engineLook = 100 * time.Millisecond

// engineCalls are the six calls that Ironic's container provider makes of its
// container_executable. None leaves a process behind or keeps a stream open.
var engineCalls = []struct {
	word string
	run  func(e *engine, args []string) error
}{
	{"version", (*engine).version}, {"ps", (*engine).ps}, {"run", (*engine).run},
	{"port", (*engine).port}, {"logs", (*engine).logs}, {"rm", (*engine).rm},
}

// engine is the program as Ironic's container engine. What Ironic takes for a
// container is a console that it has switched on at the service; the files in
// dir say which those are.
type engine struct {
	env Env
	dir string
	cfg *config.Engine
}

// container is one of the files, by whose name it goes.
type container struct {
	Name      string `json:"name"`
	ID        string `json:"id"`
	Node      string `json:"node"` // UUID
	Conductor string `json:"conductor"`
	Image     string `json:"image"`
}

// engineCommand answers one of the calls.
func engineCommand(env Env, args []string) error {
	var words []string
	for _, call := range engineCalls {
		words = append(words, call.word)
		if len(args) == 0 || args[0] != call.word {
			continue
		}
		e := &engine{env: env}
		if call.word != "version" {
			if err := e.open(); err != nil {
				return err
			}
		}
		return call.run(e, args[1:])
	}
	return usagef("ironic-engine: one of %s is to follow", strings.Join(words, ", "))
}

// open reads the settings.
func (e *engine) open() error {
	name := e.env.Getenv("IRONGLASS_ENGINE_CONFIG")
	must := name != ""
	if !must {
		name = defaultEngineConfig
	}
	cfg, err := config.LoadEngine(name)
	if errors.Is(err, fs.ErrNotExist) && !must {
		cfg, err = &config.Engine{StateDir: config.DefaultEngineStateDir}, nil
	}
	if err != nil {
		return usageError{err}
	}
	e.cfg, e.dir = cfg, cfg.StateDir
	if err := os.MkdirAll(e.dir, 0o700); err != nil {
		return fmt.Errorf("which consoles Ironic has started cannot be noted: %w: set state_dir in %s", err, name)
	}
	return nil
}

// client asks the service.
func (e *engine) client() (*client, error) {
	return remote{server: &e.cfg.Server, tokenFile: &e.cfg.TokenFile, cert: &e.cfg.Cert, key: &e.cfg.Key}.client(e.env)
}

func (e *engine) file(name string) string { return filepath.Join(e.dir, name+".json") }

// read returns the container of a file.
func (e *engine) read(name string) (container, error) {
	var c container
	text, err := os.ReadFile(e.file(name))
	if err != nil {
		return c, err
	}
	if json.Unmarshal(text, &c) != nil || c.Name != name {
		return c, fmt.Errorf("%s is not what it was: remove it", e.file(name))
	}
	return c, nil
}

// all returns every container. One that goes meanwhile is none.
func (e *engine) all() ([]container, error) {
	entries, err := os.ReadDir(e.dir)
	if err != nil {
		return nil, err
	}
	var list []container
	for _, entry := range entries {
		name, ok := strings.CutSuffix(entry.Name(), ".json")
		if !ok || !containerForm.MatchString(name) {
			continue
		}
		c, err := e.read(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	return list, nil
}

// errNoContainer is a name or an ID that is nobody's.
var errNoContainer = errors.New("there is no such container")

// find returns the container with a name or an ID.
func (e *engine) find(id string) (container, error) {
	c, err := e.read(id)
	if !errors.Is(err, fs.ErrNotExist) {
		return c, err
	}
	list, err := e.all()
	if err != nil {
		return c, err
	}
	for _, c := range list {
		if c.ID == id {
			return c, nil
		}
	}
	return c, fmt.Errorf("%w: %s", errNoContainer, id)
}

// version is by what Ironic sees that there is an engine.
func (e *engine) version(args []string) error {
	if len(args) > 0 {
		return usagef("version: nothing is to follow")
	}
	_, err := fmt.Fprintf(e.env.Stdout, "ironglass %s\n", e.env.Version)
	return err
}

// ps prints the IDs of a conductor's containers.
func (e *engine) ps(args []string) error {
	conductor, err := parsePS(args)
	if err != nil {
		return err
	}
	list, err := e.all()
	if err != nil {
		return err
	}
	for _, c := range list {
		if c.Conductor != conductor {
			continue
		}
		if _, err := fmt.Fprintln(e.env.Stdout, c.ID); err != nil {
			return err
		}
	}
	return nil
}

// run switches a node's console on, and prints the new container's ID. BMC
// addresses and passwords, which Ironic puts into the environment, are not
// looked at: the service has them from its own inventory.
func (e *engine) run(args []string) error {
	r, err := parseRun(args)
	if err != nil {
		return err
	}
	if r.env["READ_ONLY"] == "True" {
		return errors.New("consoles at ports of their own can be operated: set [vnc]read_only to False, and let people look by tokens of mode view")
	}
	id := make([]byte, 32)
	_, _ = rand.Read(id) // never fails
	c := container{Name: r.name, ID: hex.EncodeToString(id), Node: r.labels[labelNode], Conductor: r.labels[labelConductor], Image: r.image}
	if err := e.claim(c); err != nil {
		return err
	}
	err = e.switchOn(c)
	if err == nil {
		_, err = fmt.Fprintln(e.env.Stdout, c.ID)
	}
	if err != nil {
		_ = os.Remove(e.file(c.Name)) // the error tells more than that one
	}
	return err
}

// claim writes the container's file. Of several calls with one name one
// succeeds.
func (e *engine) claim(c container) error {
	text, err := json.Marshal(c)
	if err != nil {
		return err
	}
	// Whoever reads the file reads all of it.
	f, err := os.CreateTemp(e.dir, ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(text)
	if end := f.Close(); err == nil {
		err = end
	}
	if err == nil {
		err = os.Link(f.Name(), e.file(c.Name))
	}
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("the name %s is in use: remove that container first", c.Name)
	}
	return err
}

// switchOn asks the service to show the node to whoever comes to its port.
func (e *engine) switchOn(c container) error {
	n, err := e.node(c.Node)
	switch {
	case err != nil:
		return err
	case n.Kind == "none":
		return fmt.Errorf("the node %s can have no console: %s", n.Name, oneLine(n.Reason))
	case n.RFB == nil:
		return fmt.Errorf("the node %s has no port for viewers: set rfb.ports in the service's configuration", n.Name)
	}
	return e.enable(c.Node, true)
}

// switchOff switches the node's console off and waits until what ran for it is
// gone.
func (e *engine) switchOff(c container) error {
	if err := e.enable(c.Node, false); err != nil {
		return err
	}
	for end := time.Now().Add(answerTimeout); ; time.Sleep(engineLook) {
		n, err := e.node(c.Node)
		if err != nil || !n.Stopping {
			return err
		}
		if time.Now().After(end) {
			return fmt.Errorf("what runs for the node %s does not end: look at the service's log", n.Name)
		}
	}
}

// enable switches a node's console on or off.
func (e *engine) enable(node string, on bool) error {
	client, err := e.client()
	if err != nil {
		return err
	}
	defer client.close()
	ctx, cancel := context.WithTimeout(context.Background(), answerTimeout)
	defer cancel()
	path := "/v1/nodes/" + url.PathEscape(node) + "/states/console"
	_, err = client.ask(ctx, http.MethodPut, path, nil, map[string]bool{"enabled": on}, http.StatusAccepted)
	return err
}

// engineNode is what the service says of a node.
type engineNode struct {
	Name, UUID, Kind, State, Reason string
	Stopping                        bool
	RFB                             *struct {
		Host string
		Port int
	}
}

// errNoNode is a node that the service does not know.
var errNoNode = errors.New("the service knows no node")

// node asks for a node.
func (e *engine) node(uuid string) (engineNode, error) {
	client, err := e.client()
	if err != nil {
		return engineNode{}, err
	}
	defer client.close()
	ctx, cancel := context.WithTimeout(context.Background(), answerTimeout)
	defer cancel()
	answer, err := client.ask(ctx, http.MethodGet, "/v1/nodes", nil, nil, http.StatusOK)
	if err != nil {
		return engineNode{}, err
	}
	var list struct{ Nodes []engineNode }
	if err := json.Unmarshal(answer, &list); err != nil {
		return engineNode{}, fmt.Errorf("what answers at %s is no ironglass service: %w", client.base, err)
	}
	for _, n := range list.Nodes {
		if strings.EqualFold(n.UUID, uuid) {
			return n, nil
		}
	}
	return engineNode{}, fmt.Errorf("%w with the UUID %s: add it to its nodes, or have them read from Ironic", errNoNode, uuid)
}

// port prints where viewers reach the container's node.
func (e *engine) port(args []string) error {
	id, which, err := parseOne("port", args, nil, 1)
	if err != nil {
		return err
	}
	if which[0] != "5900/tcp" {
		return fmt.Errorf("port: there is 5900/tcp alone, not %.40q", which[0])
	}
	c, err := e.find(id)
	if err != nil {
		return err
	}
	n, err := e.node(c.Node)
	if err != nil {
		return err
	}
	if n.RFB == nil {
		return fmt.Errorf("the node %s has no port for viewers: set rfb.ports in the service's configuration", n.Name)
	}
	_, err = fmt.Fprintln(e.env.Stdout, net.JoinHostPort(n.RFB.Host, strconv.Itoa(n.RFB.Port)))
	return err
}

// logs prints what the service says of the container's node.
func (e *engine) logs(args []string) error {
	id, _, err := parseOne("logs", args, nil, 0)
	if err != nil {
		return err
	}
	c, err := e.find(id)
	if err != nil {
		return err
	}
	n, err := e.node(c.Node)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.env.Stdout, "the console of %s is %s %s\n", n.Name, n.State, oneLine(n.Reason))
	return err
}

// rm switches the container's console off and forgets it. When it returns the
// name is free, and nothing goes on behind it. One that is not there is no
// error, as for other engines that are told to force it.
func (e *engine) rm(args []string) error {
	id, _, err := parseOne("rm", args, []string{"--force"}, 0)
	if err != nil {
		return err
	}
	c, err := e.find(id)
	if errors.Is(err, errNoContainer) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = e.node(c.Node)
	if err == nil {
		err = e.switchOff(c)
	}
	// A node that is gone has no console.
	if err != nil && !errors.Is(err, errNoNode) {
		return err
	}
	if err := os.Remove(e.file(c.Name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
