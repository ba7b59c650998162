package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"
)

// bareMetal is a stock Ironic: API and conductor in one program, which speak
// with each other over JSON-RPC, on SQLite.
type bareMetal struct {
	url, dir string
	user     string // for HTTP Basic; empty for none
	token    string // of Keystone's; empty for none
	program  *program
}

// authBy says whom an Ironic believes: everybody, users of HTTP Basic, or a
// Keystone.
type authBy struct {
	basic    bool
	keystone *identityService
}

// Secrets that nothing may write down: of HTTP Basic, and of the BMCs.
const (
	ironicPassword = "correct horse battery"
	bmcPassword    = "s3cret-of-the-bmc"
)

// newIronic prepares an Ironic without starting it.
func newIronic(t *testing.T, by authBy) *bareMetal {
	t.Helper()
	need(t, "ironic", "ironic-dbsync")
	b := &bareMetal{dir: shortDir(t)}
	address, rpc := freeAddress(t), freeAddress(t)
	b.url = "http://" + address
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	_, rpcPort, err := net.SplitHostPort(rpc)
	if err != nil {
		t.Fatal(err)
	}
	strategy, middleware := "auth_strategy = noauth\n", ""
	if k := by.keystone; k != nil {
		b.token = k.admin
		strategy = "auth_strategy = keystone\n"
		middleware = fmt.Sprintf("[keystone_authtoken]\ninterface = public\ntoken_cache_time = -1\nauth_type = password\nauth_url = %s\nwww_authenticate_uri = %s\nusername = admin\npassword = %s\nuser_domain_name = Default\nproject_name = admin\nproject_domain_name = Default\n", k.url, k.url, keystonePassword)
	}
	if by.basic {
		b.user = "glass"
		strategy = fmt.Sprintf("auth_strategy = http_basic\nhttp_basic_auth_user_file = %s/users\n", b.dir)
		hash, err := bcrypt.GenerateFromPassword([]byte(ironicPassword), bcrypt.MinCost)
		if err != nil {
			t.Fatal(err)
		}
		// Another name of the same, the only one that Ironic knows.
		b.write(t, "users", b.user+":"+strings.Replace(string(hash), "$2a$", "$2y$", 1)+"\n")
	}
	interfaces := ""
	for kind, others := range map[string]string{
		"boot": "pxe", "console": "no-console", "deploy": "direct", "management": "ipmitool", "power": "ipmitool", "vendor": "no-vendor",
		"inspect": "no-inspect", "raid": "no-raid", "bios": "no-bios", "rescue": "no-rescue",
	} {
		interfaces += fmt.Sprintf("enabled_%s_interfaces = fake,%s\n", kind, others)
	}
	b.write(t, "policy.yaml", `"show_password": "rule:is_admin or role:reader and system_scope:all"`+"\n")
	b.write(t, "ironic.conf", fmt.Sprintf(`[DEFAULT]
%[1]shost = lab
my_ip = 127.0.0.1
rpc_transport = json-rpc
enabled_hardware_types = ipmi,fake-hardware
%[2]senabled_network_interfaces = noop
default_network_interface = noop
enabled_storage_interfaces = noop
state_path = %[3]s
[oslo_concurrency]
lock_path = %[3]s/lock
[oslo_policy]
policy_file = %[3]s/policy.yaml
[oslo_messaging_notifications]
driver = noop
[api]
host_ip = 127.0.0.1
port = %[4]s
api_workers = 1
[json_rpc]
host_ip = 127.0.0.1
port = %[5]s
auth_strategy = noauth
[database]
connection = sqlite:///%[3]s/ironic.db
sqlite_synchronous = false
[conductor]
workers_pool_size = 4
sync_power_state_interval = 0
[deploy]
http_root = %[3]s/http
[pxe]
tftp_root = %[3]s/tftp
images_path = %[3]s/images
instance_master_path =
tftp_master_path =
%[6]s`, strategy, interfaces, b.dir, port, rpcPort, middleware))
	run(t, b.environment(), "ironic-dbsync", "--config-file", b.dir+"/ironic.conf", "create_schema")
	return b
}

func (b *bareMetal) write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(b.dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// environment has nothing of Ironic's outside of its directory.
func (b *bareMetal) environment() []string {
	return append(os.Environ(), "HOME="+b.dir, "TMPDIR="+b.dir)
}

// run runs a program that ends by itself.
func run(t *testing.T, env []string, name string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = env
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
}

func (b *bareMetal) start(t *testing.T) {
	t.Helper()
	b.program = startProgram(t, b.environment(), "ironic", "--config-file", b.dir+"/ironic.conf")
	eventually(t, "Ironic's conductor", func() error {
		if err := b.program.running(); err != nil {
			t.Fatalf("%v\n%s", err, b.program.output)
		}
		_, body, err := b.call(t, http.MethodGet, "/v1/drivers", "")
		if err == nil && !strings.Contains(string(body), "fake-hardware") {
			err = fmt.Errorf("%s", body)
		}
		return err
	})
}

// call asks Ironic's API.
func (b *bareMetal) call(t *testing.T, method, path, body string) (int, []byte, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, b.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-OpenStack-Ironic-API-Version", "1.80")
	r.Header.Set("Content-Type", "application/json")
	if b.user != "" {
		r.SetBasicAuth(b.user, ironicPassword)
	}
	if b.token != "" {
		r.Header.Set("X-Auth-Token", b.token)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	return resp.StatusCode, answer, err
}

// must is call where nothing may go wrong.
func (b *bareMetal) must(t *testing.T, method, path, body string) []byte {
	t.Helper()
	status, answer, err := b.call(t, method, path, body)
	if err != nil || status >= 300 {
		t.Fatalf("%s %s: %d, %v: %s", method, path, status, err, answer)
	}
	return answer
}

// enroll makes a node with a BMC and returns its UUID.
func (b *bareMetal) enroll(t *testing.T, name, driverInfo, extra string) string {
	t.Helper()
	var n struct{ UUID string }
	body := b.must(t, http.MethodPost, "/v1/nodes", fmt.Sprintf(`{"driver": "fake-hardware", "name": %q, "driver_info": %s, "extra": %s}`, name, driverInfo, extra))
	if err := json.Unmarshal(body, &n); err != nil {
		t.Fatal(err)
	}
	return n.UUID
}

// listedNodes are the nodes as ironglass tells of them.
type listedNodes struct {
	Inventory struct {
		Source, Cause, Reason string
		Current               bool
	}
	Nodes []struct {
		Name, UUID, Kind, State, Reason, Owner, Lessee string
		Maintenance                                    bool
	}
}

func (s *service) listed(t *testing.T) (l listedNodes, err error) {
	t.Helper()
	body, err := s.get(t, "/v1/nodes", http.StatusOK)
	if err == nil {
		err = json.Unmarshal(body, &l)
	}
	return l, err
}

// names are the nodes' names and why they have no console.
func (l listedNodes) names() string {
	var all []string
	for _, n := range l.Nodes {
		name := n.Name
		if n.State == "failed" {
			name += ": " + n.Reason
		}
		all = append(all, name)
	}
	return strings.Join(all, "\n")
}

// awaitNames waits for a list of nodes.
func (s *service) awaitNames(t *testing.T, want string) listedNodes {
	t.Helper()
	var l listedNodes
	eventually(t, "the nodes "+want, func() (err error) {
		if l, err = s.listed(t); err == nil && l.names() != want {
			err = fmt.Errorf("there are %q", l.names())
		}
		return err
	})
	return l
}

// TestIronic: nodes come from a stock Ironic and follow what changes there; a
// console that driver_info names is shown; a lost Ironic leaves all as it was,
// over a restart too.
func TestIronic(t *testing.T) {
	for _, basic := range []bool{false, true} {
		name := map[bool]string{false: "noauth", true: "http_basic"}[basic]
		t.Run(name, func(t *testing.T) { testIronic(t, basic) })
	}
}

func testIronic(t *testing.T, basic bool) {
	leavesNothing(t)
	b := newIronic(t, authBy{basic: basic})
	b.start(t)

	address := freeAddress(t)
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	d := startXServer(t, "Xtigervnc", "-rfbport", port, "-SecurityTypes", "None", "-localhost",
		"-geometry", "1024x768", "-depth", "24", "-AlwaysShared", "-nolisten", "tcp")
	n := pictureNode(t, "rack1-u12", "")
	startProgram(t, d.environment(), n.command[0], append(n.command[1:], "-hide-cursor")...)
	n.shown(t)

	const bmc = `"ipmi_address": "192.0.2.10", "ipmi_username": "admin", "ipmi_password": "` + bmcPassword + `"`
	uuid := b.enroll(t, n.name, fmt.Sprintf(`{%s, "ironglass_console": {"rfb": %q}}`, bmc, address), "{}")
	b.enroll(t, "bare", "{}", "{}")
	s := newService(t)
	auth := ""
	if basic {
		password := filepath.Join(s.dir, "password")
		if err := os.WriteFile(password, []byte("wrong\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		auth = fmt.Sprintf("    auth: {username: %s, password_file: %s}\n", b.user, password)
	}
	yaml := fmt.Sprintf("listen: %s\nstate_dir: %s/state\ninventory:\n  ironic:\n    endpoints: [http://127.0.0.1:1, %s]\n    interval: 1s\n    trusted: true\n%s",
		strings.TrimPrefix(s.url, "http://"), s.dir, b.url, auth)
	if err := os.WriteFile(s.config(), []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	if basic {
		s.refusedAtFirst(t)
	} else {
		s.start(t)
	}
	const noBMC = "bare: driver_info names no BMC: set redfish_address or ipmi_address, or ironglass_console"
	l := s.awaitNames(t, n.name+"\n"+noBMC)
	if got := l.Nodes[0]; got.UUID != uuid || got.Kind != "rfb" || !l.Inventory.Current {
		t.Errorf("the node is %+v, the inventory %+v", got, l.Inventory)
	}
	p := newTab(t)
	p.openConsole(t, s, n.name)
	p.showsExactly(t, n)

	// What does not touch the console leaves its viewers alone.
	b.must(t, http.MethodPatch, "/v1/nodes/"+uuid, `[{"op": "add", "path": "/owner", "value": "a-project"}, {"op": "add", "path": "/lessee", "value": "another"}]`)
	b.must(t, http.MethodPut, "/v1/nodes/"+uuid+"/maintenance", `{"reason": "a test"}`)
	eventually(t, "owner, lessee and maintenance", func() error {
		l, err := s.listed(t)
		if err == nil && (l.Nodes[0].Owner != "a-project" || l.Nodes[0].Lessee != "another" || !l.Nodes[0].Maintenance) {
			err = fmt.Errorf("%+v", l.Nodes[0])
		}
		return err
	})
	n.tell(t, "draw 5")
	p.showsExactly(t, n)

	// The calls of Ironic's console are answered as it does.
	for _, path := range []string{"/v1/nodes/" + uuid + "/states/console", "/v1/nodes/" + n.name + "/states/console"} {
		if theirs, ours := keysOf(t, b.must(t, http.MethodGet, path, "")), s.must(t, http.MethodGet, path, "", http.StatusOK); keysOf(t, ours) != theirs {
			t.Errorf("Ironic answers with %s, ironglass with %s", theirs, ours)
		}
		theirs, body, err := b.call(t, http.MethodPut, path, `{"enabled": true}`)
		if err != nil || theirs != http.StatusAccepted || len(body) != 0 {
			t.Errorf("Ironic answers PUT with %d, %s, %v", theirs, body, err)
		}
		if body := s.must(t, http.MethodPut, path, `{"enabled": true}`, http.StatusAccepted); len(body) != 0 {
			t.Errorf("ironglass answers PUT with %q", body)
		}
	}

	// Ironic is gone, and then the service's memory too.
	b.program.end(t)
	awaitInventory := func(want string) {
		t.Helper()
		eventually(t, "the inventory to be "+want, func() error {
			body, err := s.get(t, "/readyz", http.StatusOK)
			if err == nil && !strings.Contains(string(body), `"inventory":"`+want+`"`) {
				err = fmt.Errorf("%s", body)
			}
			return err
		})
	}
	awaitInventory("kept, unreachable")
	n.tell(t, "draw 6")
	p.showsExactly(t, n)
	metrics := string(s.must(t, http.MethodGet, "/metrics", "", http.StatusOK))
	if !strings.Contains(metrics, `ironglass_inventory_current{source="ironic"} 0`) || strings.Contains(metrics, `ironglass_inventory_failures_total{cause="unreachable",source="ironic"} 0`) {
		t.Error("the metrics do not say that Ironic is lost")
	}
	first := s.output.String()
	p.goTo(t, "about:blank")
	s.stop(t)
	s.start(t)
	awaitInventory("kept, unreachable")
	s.awaitNames(t, n.name+"\n"+noBMC)
	p.openConsole(t, s, n.name)
	p.showsExactly(t, n)

	// It is back, and a node goes while somebody looks at it.
	b.start(t)
	awaitInventory("current")
	p.showsExactly(t, n)
	b.must(t, http.MethodDelete, "/v1/nodes/"+uuid, "")
	s.awaitNames(t, noBMC)
	p.awaitState(t, "refused")
	if _, err := s.get(t, "/v1/nodes/"+uuid+"/states/console", http.StatusNotFound); err != nil {
		t.Error(err)
	}
	checkNoSecret(t, s, first+s.output.String())
}

// TestIronicKeystone: an Ironic that believes a stock Keystone is found in its
// catalog, with a user who may read the whole system; a token that was revoked
// is replaced, and what Keystone refuses is named.
func TestIronicKeystone(t *testing.T) {
	leavesNothing(t)
	k := startKeystone(t)
	user := k.user(t, "glass", "reader", "")
	b := newIronic(t, authBy{keystone: k})
	service := k.make(t, "service", "services", `"type": "baremetal", "name": "ironic"`)
	k.make(t, "endpoint", "endpoints", fmt.Sprintf(`"service_id": %q, "interface": "public", "url": %q`, service, b.url))
	b.start(t)
	uuid := b.enroll(t, "rack1-u12", `{"redfish_address": "https://192.0.2.10", "redfish_username": "admin", "redfish_password": "`+bmcPassword+`"}`, "{}")
	b.must(t, http.MethodPatch, "/v1/nodes/"+uuid, `[{"op": "add", "path": "/owner", "value": "a-project"}]`)

	s := newService(t)
	secret := filepath.Join(s.dir, "secret")
	if err := os.WriteFile(secret, []byte(keystonePassword+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	yaml := fmt.Sprintf(`listen: %s
state_dir: %s/state
inventory:
  ironic:
    interval: 1s
    auth: {auth_url: "%s", username: glass, user_domain: Default, password_file: %s}
`, strings.TrimPrefix(s.url, "http://"), s.dir, k.url, secret)
	if err := os.WriteFile(s.config(), []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	s.start(t)
	// With its password the BMC could be asked, which this version does not do.
	const later = "rack1-u12: BMCs' own consoles are not in this version: name a VNC server or an X program for the node's console"
	if l := s.awaitNames(t, later); l.Nodes[0].Owner != "a-project" || l.Nodes[0].UUID != uuid {
		t.Errorf("%+v", l)
	}

	// Keystone ends the user's tokens, and then the user.
	reading := func(want string) {
		t.Helper()
		eventually(t, "the inventory to be "+want, func() error {
			body, err := s.get(t, "/readyz", http.StatusOK)
			if err == nil && !strings.Contains(string(body), `"inventory":"`+want+`"`) {
				err = fmt.Errorf("%s", body)
			}
			return err
		})
	}
	const other = "another password of Keystone's"
	k.call(t, http.MethodPatch, "/users/"+user, fmt.Sprintf(`{"user": {"password": %q}}`, other), nil)
	reading("kept, keystone")
	if l, err := s.listed(t); err != nil || !strings.Contains(l.Inventory.Reason, "refuses the service's own credential (401)") {
		t.Errorf("%+v, %v", l, err)
	}
	if err := os.WriteFile(secret, []byte(other+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	reading("current")
	s.awaitNames(t, later)
	for _, text := range []string{keystonePassword, other} {
		if strings.Contains(s.output.String(), text) {
			t.Error("a password was written down")
		}
	}
	checkNoSecret(t, s, s.output.String())
}

// refusedAtFirst starts the service with a wrong password, sees that it says
// so, and corrects it.
func (s *service) refusedAtFirst(t *testing.T) {
	t.Helper()
	s.launch(t)
	eventually(t, "the password to be refused", func() error {
		body, err := s.get(t, "/readyz", http.StatusServiceUnavailable)
		if err == nil && !strings.Contains(string(body), "credential") {
			err = fmt.Errorf("%s", body)
		}
		return err
	})
	if l, err := s.listed(t); err != nil || l.Inventory.Current || !strings.Contains(l.Inventory.Reason, "(401)") {
		t.Errorf("%+v, %v", l, err)
	}
	if err := os.WriteFile(filepath.Join(s.dir, "password"), []byte(ironicPassword+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

// must is do where nothing may go wrong.
func (s *service) must(t *testing.T, method, path, body string, status int) []byte {
	t.Helper()
	answer, err := s.do(t, method, path, body, status)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// keysOf are the keys of a JSON object.
func keysOf(t *testing.T, body []byte) string {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(body, &m); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	keys := make(map[string]bool)
	for k := range m {
		keys[k] = true
	}
	return fmt.Sprint(keys) // in order
}

// checkNoSecret looks for secrets in what the service wrote.
func checkNoSecret(t *testing.T, s *service, output string) {
	t.Helper()
	cache, err := os.ReadFile(filepath.Join(s.dir, "state", "ironic.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{bmcPassword, ironicPassword} {
		if strings.Contains(output+string(cache), secret) {
			t.Errorf("%q was written down", secret)
		}
	}
}
