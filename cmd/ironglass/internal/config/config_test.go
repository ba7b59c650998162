package config_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ironglass/ironglass/cmd/ironglass/internal/config"
	"github.com/ironglass/ironglass/launcher/inventory"
	"github.com/ironglass/ironglass/proxy/nova"
)

// files writes files into a directory that becomes the current one.
func files(t *testing.T, content map[string]string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range content {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
}

const (
	credential  = "0123456789abcdef0123456789abcdef"
	fingerprint = "01:23:45:67:89:AB:CD:EF:01:23:45:67:89:ab:cd:ef:01:23:45:67:89:ab:cd:ef:01:23:45:67:89:ab:cd:ef"
)

func TestEverythingThatCanBeSaid(t *testing.T) {
	files(t, map[string]string{
		"cert.pem": "x", "key.pem": "x", "token": credential + "\n", "password": "hunter2\n", "supervisor": "x",
		"c.yaml": `
listen: 0.0.0.0:6080
public_url: https://console.example.net/glass
allowed_origins: ["https://horizon.example.net", "https://other.example.net:8443"]
linger: 90s
tls: {cert: cert.pem, key: key.pem}
api: {token_file: token, client_ca: cert.pem}
launcher: {process: {supervisor: supervisor, idle_exit: 1h}}
lease: {idle: 20m, max: 0, warning: 30s}
audit: {file: audit.jsonl}
rfb: {listen: "::", ports: 20000-20999, tls: {cert: cert.pem, key: key.pem, client_ca: cert.pem}, none: false, connect: 21000}
nova:
  auth_url: https://keystone.example.net/v3
  ca: cert.pem
  application_credential_id: 0f7b6c
  application_credential_secret_file: password
  region: one
  interface: internal
  endpoint: https://nova.example.net/v2.1
  hosts: [192.0.2.1]
  enforce_session_timeout: true
frame_ancestors: ["https://horizon.example.net"]
state_dir: state
recording: {dir: films, keep: 720h, max_total: 20GiB}
nodes:
  - name: rack1-u12
    uuid: 99694c1e-6327-4d58-9466-87f7265958af
    owner: 5c1a1e0000000000000000000000abcd
    lessee: 5c1a1e0000000000000000000000abce
    bmc: {address: 192.0.2.10, username: admin, password_file: password}
    console: {command: [xterm, -fs, 13, ""], geometry: 800x600, recording: {mode: ring, minutes: 30, max_size: 64MiB}}
  - &vm
    name: lab-vm
    console:
      rfb: "127.0.0.1:5901"
      seats: exclusive
      lease: {idle: 0, max: 8h}
      layout: de
      keys: {hold: 20ms, interval: 30ms, longest: 200ms, rate: 15}
      recording: full
  - name: "17"
    console: {rfb: "unix:/run/vnc.sock"}
  - name: bmc
    console:
      rfb:
        address: wss://192.0.2.20/kvm/0
        username: root
        password_file: password
        tls: {ca: cert.pem, cert: cert.pem, key: key.pem, server_name: bmc, fingerprint: "` + fingerprint + `"}
`})
	c, err := config.Load("c.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if a := c.Nodes.Nodes()[0].About; a != (inventory.About{Owner: "5c1a1e0000000000000000000000abcd", Lessee: "5c1a1e0000000000000000000000abce"}) {
		t.Errorf("of the first node it is said: %+v", a)
	}
	if c.Listen != "0.0.0.0:6080" || c.PublicURL != "https://console.example.net/glass" || len(c.AllowedOrigins) != 2 ||
		c.Linger != 90*time.Second || c.TLS == nil || c.ClientCA != "cert.pem" || c.TLS.Cert != "cert.pem" || c.TLS.Key != "key.pem" ||
		c.Process.Supervisor != "supervisor" || c.Process.IdleExit != time.Hour {
		t.Errorf("the configuration is %+v", c)
	}
	if wd, err := os.Getwd(); err != nil || c.StateDir != filepath.Join(wd, "state") {
		t.Errorf("the state is in %s (%v)", c.StateDir, err)
	}
	if wd, err := os.Getwd(); err != nil || c.Recording != (config.Recording{Dir: filepath.Join(wd, "films"), Keep: 720 * time.Hour, MaxTotal: 20 << 30}) {
		t.Errorf("recordings are kept as in %+v (%v)", c.Recording, err)
	}
	if got, err := c.Credential(); got != credential || err != nil {
		t.Errorf("the credential is %q, %v", got, err)
	}
	rfb := &config.RFB{
		Listen: "::", First: 20000, Last: 20999, Connect: 21000,
		TLS: &config.MutualTLS{Cert: "cert.pem", Key: "key.pem", ClientCA: "cert.pem"},
	}
	if !reflect.DeepEqual(c.RFB, rfb) {
		t.Errorf("viewers that are no browsers are let in as in %+v", c.RFB)
	}
	asked := &config.Nova{CA: "cert.pem", Hosts: []string{"192.0.2.1"}, EnforceSessionTimeout: true, Client: nova.Config{
		AuthURL: "https://keystone.example.net/v3", ApplicationCredentialID: "0f7b6c", SecretFile: "password", Region: "one",
		Interface: "internal", Endpoint: "https://nova.example.net/v2.1", UserDomain: "Default", ProjectDomain: "Default",
	}}
	if !reflect.DeepEqual(c.Nova, asked) || len(c.FrameAncestors) != 1 {
		t.Errorf("Nova is asked as in %+v", c.Nova)
	}
	nodes := c.Nodes.Nodes()
	if len(nodes) != 4 || nodes[0].UUID != "99694c1e-6327-4d58-9466-87f7265958af" || nodes[2].Name != "17" {
		t.Fatalf("the nodes are %+v", nodes)
	}
	if c.Lease != (inventory.Lease{Idle: 20 * time.Minute, Max: -1, Warning: 30 * time.Second}) || c.AuditFile != "audit.jsonl" {
		t.Errorf("the configuration is %+v", c)
	}
	if con := nodes[1].Console; con.Seats != "exclusive" || con.Lease != (inventory.Lease{Idle: -1, Max: 8 * time.Hour}) || nodes[0].Console.Seats != "" {
		t.Errorf("the console of the second node is %+v", con)
	}
	if con := nodes[0].Console; strings.Join(con.Command, "|") != "xterm|-fs|13|" || con.Width != 800 || con.Height != 600 {
		t.Errorf("the console of the first node is %+v", con)
	}
	want := inventory.Console{
		RFB: "wss://192.0.2.20/kvm/0", Username: "root", PasswordFile: "password",
		TLS: &inventory.TLS{CA: "cert.pem", Cert: "cert.pem", Key: "key.pem", ServerName: "bmc", Fingerprint: fingerprint},
	}
	if con := nodes[3].Console; !reflect.DeepEqual(con, want) {
		t.Errorf("the console of the last node is %+v", con)
	}
	if con := nodes[1].Console; con.Layout != "de" || con.Keys != (inventory.Keys{Hold: 20 * time.Millisecond, Interval: 30 * time.Millisecond, Longest: 200 * time.Millisecond, Rate: 15}) {
		t.Errorf("the console of the second node is %+v", con)
	}
	for i, want := range []inventory.Recording{{Mode: "ring", Last: 30 * time.Minute, MaxSize: 64 << 20}, {Mode: "full"}, {}} {
		if got := nodes[i].Console.Recording; got != want {
			t.Errorf("of node %d is recorded %+v", i, got)
		}
	}
	if b := nodes[0].BMC; b == nil || b.Address != "192.0.2.10" || b.Username != "admin" || b.PasswordFile != "password" {
		t.Errorf("the BMC of the first node is %+v", b)
	}
}

func TestDefaults(t *testing.T) {
	files(t, map[string]string{"c.yaml": "nodes: []\n", "off.yaml": "nodes: []\nlinger: 0\nrecording: {keep: 0, max_total: 0}\nlauncher: {process: {idle_exit: 0}}\n"})
	t.Setenv("XDG_STATE_HOME", "/somewhere")
	c, err := config.Load("c.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if c.Listen != "127.0.0.1:6080" || c.TLS != nil || c.Linger != 0 || c.Process != (config.Process{}) || c.StateDir != "/somewhere/ironglass" {
		t.Errorf("the configuration is %+v", c)
	}
	if got, err := c.Credential(); got != "" || err != nil {
		t.Errorf("the credential is %q, %v", got, err)
	}
	if c.Recording != (config.Recording{Dir: "/somewhere/ironglass/recordings"}) {
		t.Errorf("recordings are kept as in %+v", c.Recording)
	}
	if c, err = config.Load("off.yaml"); err != nil || c.Linger >= 0 || c.Recording.Keep >= 0 || c.Recording.MaxTotal >= 0 || c.Process.IdleExit >= 0 {
		t.Errorf("0 is read as %+v, %v", c, err)
	}
	t.Setenv("XDG_STATE_HOME", "")
	t.Setenv("HOME", "/home/somebody")
	want := "/home/somebody/.local/state/ironglass"
	if os.Getuid() == 0 {
		want = "/var/lib/ironglass"
	}
	if c, err := config.Load("c.yaml"); err != nil || c.StateDir != want {
		t.Errorf("the state is in %+v, %v; want %s", c, err, want)
	}
}

func TestComplaints(t *testing.T) {
	const node = "nodes: [{name: a, console: {command: [xterm]}}]\n"
	for name, tc := range map[string]struct {
		text string
		want []string // beginnings of the lines of the error, after the file's name
	}{
		"empty":          {"", []string{"1: the file is empty"}},
		"comment":        {"# nothing\n", []string{"1: the file is empty"}},
		"not YAML":       {node + "listen: [\n", []string{"2: this is not YAML: "}},
		"a tab":          {"nodes:\n\t- name: a\n", []string{"2: this is not YAML: "}},
		"a list":         {"- a\n", []string{"1: the file is to have keys under it: listen, ", "1: there are no nodes"}},
		"two documents":  {node + "---\n" + node, []string{"2: a second document"}},
		"no nodes":       {"listen: 127.0.0.1:80\n", []string{"1: there are no nodes"}},
		"null nodes":     {"nodes:\n", []string{"1: nodes is empty"}},
		"nodes as map":   {"nodes: {a: b}\n", []string{"1: nodes is to be a list"}},
		"unknown keys":   {node + "listne: x\nlauncher: {process: {idle: 1m}}\n", []string{`2: the file: unknown key "listne": use one of listen, `, `3: launcher.process: unknown key "idle": use one of supervisor, idle_exit`}},
		"unknown below":  {"nodes:\n- name: a\n  consol: {}\n  console: {command: [x], rfbs: y}\n", []string{`3: node: unknown key "consol"`, `4: node.console: unknown key "rfbs"`}},
		"twice":          {node + "listen: 127.0.0.1:1\nlisten: 127.0.0.1:2\n", []string{"3: listen is there twice, first in line 2"}},
		"later":          {node + "\nlauncher: {docker: {}}\n", []string{"3: launcher.docker is not in this version"}},
		"recipe":         {"nodes:\n- name: a\n  console:\n    recipe: auto\n", []string{"4: node.console.recipe is not in this version: use command"}},
		"rfb range":      {node + "rfb: {ports: 9-8, connect: 0, listen: \"127.0.0.1:5900\", none: perhaps, tls: {cert: c.yaml}}\n", []string{`2: rfb.ports: "9-8" is not a range of ports`, `2: rfb.connect: "0" is not a port`, `2: rfb.listen: "127.0.0.1:5900" is not a host`, `2: rfb.none: "perhaps" is neither true nor false`, "2: rfb.tls needs all three: cert, key and client_ca"}},
		"rfb open":       {node + "rfb: {listen: 192.0.2.1}\n", []string{"2: rfb: viewers that reach 192.0.2.1 would have no way to prove who they are: set rfb.tls, or rfb.none"}},
		"rfb closed":     {node + "rfb: {none: false}\n", []string{"2: rfb: viewers that reach 127.0.0.1 would have no way"}},
		"rfb connect":    {node + "rfb:\n  connect: 16000\n", []string{"3: rfb.connect: port 16000 is one of the nodes' ports 15900-16899"}},
		"nova empty":     {node + "nova: {}\n", []string{"2: nova needs auth_url"}},
		"nova unsaid":    {node + "nova: {auth_url: \"http://k/v3\"}\n", []string{"2: nova needs either application_credential_id with"}},
		"nova half":      {node + "nova: {auth_url: \"http://k/v3\", username: x, password_file: short}\n", []string{"2: nova needs either"}},
		"nova both":      {node + "nova: {auth_url: \"http://k/v3\", username: x, password_file: short, project: p, application_credential_id: y}\n", []string{"2: nova needs either"}},
		"nova values":    {node + "nova: {auth_url: k, endpoint: x, interface: y, enforce_session_timeout: z, password_file: c.yaml2}\n", []string{`2: nova.auth_url: "k" is not a URL`, `2: nova.endpoint: "x"`, `2: nova.interface: "y" is none of`, `2: nova.enforce_session_timeout: "z" is neither`, "2: nova.password_file: there is no file"}},
		"frames":         {node + "frame_ancestors: [\"*\"]\n", []string{`2: frame_ancestors: "*" is not an origin`}},
		"listen":         {node + "listen: 6080\n", []string{`2: listen: "6080" is not an address to listen on`}},
		"listen port":    {node + "listen: 127.0.0.1:65536\n", []string{"2: listen: "}},
		"open to all":    {node + "listen: :6080\n", []string{"2: listen: :6080 can be reached by others"}},
		"open by name":   {node + "listen: example.net:6080\n", []string{"2: listen: example.net:6080 can be reached by others"}},
		"public_url":     {node + "public_url: console.example.net\n", []string{"2: public_url: "}},
		"URL port":       {node + "public_url: https://h:99999\n", []string{"2: public_url: "}},
		"URL password":   {node + "public_url: https://u:p@h\n", []string{"2: public_url: "}},
		"origin":         {node + "allowed_origins: [https://h/path]\n", []string{"2: allowed_origins: "}},
		"origins":        {node + "allowed_origins: https://h\n", []string{"2: allowed_origins is to be a list"}},
		"linger":         {node + "linger: 5\n", []string{`2: linger: "5" is not a duration: write it as in 90s`}},
		"negative":       {node + "linger: -5s\n", []string{"2: linger: "}},
		"missing files":  {node + "tls: {cert: nowhere, key: nowhere2}\napi: {token_file: nowhere}\nlauncher: {process: {supervisor: nowhere}}\n", []string{"2: tls.cert: there is no file nowhere", "2: tls.key: there is no file nowhere2", "3: api.token_file: there is no file", "4: launcher.process.supervisor: there is no file"}},
		"half of TLS":    {node + "tls: {cert: c.yaml}\n", []string{"2: tls needs both"}},
		"client_ca":      {node + "api: {client_ca: c.yaml}\n", []string{"2: api.client_ca: certificates come with TLS alone"}},
		"a directory":    {node + "tls: {cert: ., key: c.yaml}\n", []string{"2: tls.cert: . is a directory"}},
		"bad credential": {node + "api: {token_file: short}\n", []string{"2: api.token_file: short holds no usable credential"}},
		"lease":          {node + "lease: {idle: 15, maximum: 1h, warning: -1s}\n", []string{`2: lease.idle: "15" is not a duration: write it as in 90s or 1h30m, or 0 for never ending`, `2: lease: unknown key "maximum": use one of idle, max, warning`, "2: lease.warning: "}},
		"audit":          {node + "audit: {}\n", []string{"2: audit names no file"}},
		"audit as text":  {node + "audit: log\n", []string{"2: audit is to have keys under it: file"}},
		"seats":          {"nodes:\n- name: a\n  console:\n    command: [xterm]\n    seats: two\n    lease: {idle: x}\n", []string{`5: node a: console.seats: "two" is not known`, "6: node.console.lease.idle: "}},
		"geometry":       {"nodes:\n- name: a\n  console: {command: [xterm], geometry: 10x}\n", []string{`3: node.console.geometry: "10x" is not a size`}},
		"layout":         {"nodes:\n- name: a\n  console: {command: [xterm], layout: klingon}\n", []string{`3: node.console.layout: there is no keyboard layout "klingon": use one of us, uk, de, `}},
		"keys":           {"nodes:\n- name: a\n  console:\n    command: [xterm]\n    keys: {hold: 20, interval: 2s, rate: 0, speed: 1}\n", []string{`5: node.console.keys.hold: "20" is not a duration: write it as in 20ms`, `5: node.console.keys.rate: "0" is not a whole number above 0`, `5: node.console.keys: unknown key "speed": use one of hold, interval, longest, rate`, `5: node a: console.keys.interval: 2s is out of range: 0s to 1s are possible`}},
		"keys backwards": {"nodes:\n- name: a\n  console:\n    command: [xterm]\n    keys:\n      hold: -1ms\n      rate: 5000\n", []string{"6: node a: console.keys.hold: -1ms is out of range", "7: node a: console.keys.rate: 5000 is out of range"}},
		"keys too short": {"nodes:\n- name: a\n  console: {command: [xterm], keys: {hold: 50ms, longest: 50ms}}\n", []string{"3: node a: console.keys.longest: 50ms is not longer than hold, which is 50ms"}},
		"same names":     {"nodes:\n- {name: a, console: {rfb: h:1}}\n- {name: a, console: {rfb: h:1}}\n", []string{"3: node a: name: "}},
		"no console":     {"nodes:\n- name: a\n- name: b\n  console: {}\n", []string{"2: node a: console: it is empty", "4: node b: console: it is empty"}},
		"both":           {"nodes:\n- name: a\n  console:\n    rfb: h:1\n    command: [xterm]\n", []string{"4: node a: console: command and rfb cannot go together"}},
		"one string":     {"nodes:\n- name: a\n  console: {command: xterm -maximized}\n", []string{`3: node.console.command is to be a list: write it as in ["xterm"`}},
		"no name":        {"nodes:\n- console: {command: [xterm]}\n", []string{"2: node 1: name: it is missing"}},
		"null name":      {"nodes:\n- name:\n  console: {command: [xterm]}\n", []string{"2: node.name is to be a text"}},
		"bad UUID":       {"nodes:\n- name: a\n  uuid: 17\n  console: {command: [xterm]}\n", []string{`3: node a: uuid: "17" is not a UUID`}},
		"bad address":    {"nodes:\n- name: a\n  console: {rfb: h}\n", []string{`3: node a: console.rfb: "h" is not an address`}},
		"native address": {"nodes:\n- name: a\n  console:\n    rfb: {username: root}\n", []string{"4: node.console.rfb.address is missing"}},
		"native":         {"nodes:\n- name: a\n  console:\n    rfb: {address: h:1, user: x}\n", []string{`4: node.console.rfb: unknown key "user": use one of address, username, password_file, tls`}},
		"native user":    {"nodes:\n- name: a\n  console:\n    rfb: {address: h:1, username: root}\n", []string{"4: node a: console.rfb.password_file: it is missing"}},
		"native scheme":  {"nodes:\n- name: a\n  console:\n    rfb: https://h/kvm\n", []string{`4: node a: console.rfb: "https://h/kvm" is not the address of a websocket`}},
		"native plain":   {"nodes:\n- name: a\n  console:\n    rfb: {address: ws://h/kvm, tls: {}}\n", []string{"4: node a: console.rfb.tls: ws:// has none"}},
		"native TLS":     {"nodes:\n- name: a\n  console:\n    rfb:\n      address: h:1\n      tls: {cert: c.yaml, fingerprint: 12}\n", []string{"6: node a: console.rfb.tls: cert and key go together", "6: node a: console.rfb.tls.fingerprint: "}},
		"native socket":  {"nodes:\n- name: a\n  console:\n    rfb: {address: unix:/x, tls: {}}\n", []string{"4: node a: console.rfb.tls: a socket has no name"}},
		"recordings":     {node + "recording: {keep: 5, max_total: 10GB, where: x}\n", []string{`2: recording.keep: "5" is not a duration`, `2: recording.max_total: "10GB" is not a size: write it as in 256MiB`, `2: recording: unknown key "where": use one of dir, keep, max_total`}},
		"recorded how":   {"nodes:\n- name: a\n  console:\n    rfb: h:1\n    recording: always\n", []string{`5: node a: console.recording: "always" is none of off, ring`}},
		"recorded list":  {"nodes:\n- name: a\n  console: {rfb: \"h:1\", recording: [full]}\n", []string{"3: node.console.recording is to be a text"}},
		"no mode":        {"nodes:\n- name: a\n  console: {rfb: \"h:1\", recording: {minutes: 3}}\n", []string{"3: node.console.recording: mode is missing"}},
		"minutes":        {"nodes:\n- name: a\n  console: {rfb: \"h:1\", recording: {mode: ring, minutes: 0, max_size: 1MiB}}\n", []string{`3: node.console.recording.minutes: "0" is not a number of minutes from 1 to 1440`, `3: node.console.recording.max_size: "1MiB" is too little: 16MiB`}},
		"full minutes":   {"nodes:\n- name: a\n  console: {rfb: \"h:1\", recording: {mode: full, minutes: 3}}\n", []string{"3: node a: console.recording: minutes are for the mode ring"}},
		"off and sized":  {"nodes:\n- name: a\n  console: {rfb: \"h:1\", recording: {mode: off, max_size: 99MiB}}\n", []string{"3: node a: console.recording: nothing is recorded"}},
		"password":       {"nodes:\n- name: a\n  bmc: {address: h, password: hunter2}\n  console: {command: [xterm]}\n", []string{`3: node.bmc: unknown key "password": use one of address, username, password_file`}},
	} {
		t.Run(name, func(t *testing.T) {
			files(t, map[string]string{"c.yaml": tc.text, "short": "secret17\n"})
			_, err := config.Load("c.yaml")
			if err == nil {
				t.Fatal("nothing is wrong with it")
			}
			lines := strings.Split(err.Error(), "\n")
			if len(lines) != len(tc.want) {
				t.Fatalf("%d complaints, want %d:\n%v", len(lines), len(tc.want), err)
			}
			for i, want := range tc.want {
				if !strings.HasPrefix(lines[i], "c.yaml:"+want) {
					t.Errorf("complaint %d is\n%s\nwant\nc.yaml:%s", i+1, lines[i], want)
				}
			}
			for _, secret := range []string{"secret17", "hunter2"} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("the complaint tells %s: %v", secret, err)
				}
			}
		})
	}
}

func TestFileItself(t *testing.T) {
	t.Chdir(t.TempDir())
	if _, err := config.Load("c.yaml"); err == nil || !strings.Contains(err.Error(), "c.yaml") {
		t.Errorf("a missing file: %v", err)
	}
}

// FuzzLoad looks for texts that the reader does not survive.
func FuzzLoad(f *testing.F) {
	f.Add("nodes: [{name: a, console: {command: [xterm]}}]\n")
	f.Add("a: &a [*a]\nnodes: *a\n")
	f.Add("nodes: [&n {name: a, console: &c {rfb: 'h:1', <<: *c}}, *n]\n")
	f.Add("? [1]\n: {}\n")
	f.Add("nodes: !!set {}\n--- x\n")
	f.Fuzz(func(t *testing.T, text string) {
		name := filepath.Join(t.TempDir(), "c.yaml")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := config.Load(name)
		if (c == nil) == (err == nil) {
			t.Fatalf("%q gave %v and %v", text, c, err)
		}
		if err != nil && !strings.Contains(err.Error(), name) {
			t.Fatalf("%q: the error does not name the file: %v", text, err)
		}
	})
}

// TestRFBDefaults: who may connect where nothing is said of it.
func TestRFBDefaults(t *testing.T) {
	files(t, map[string]string{"x.pem": "x"})
	const tls = "tls: {cert: x.pem, key: x.pem, client_ca: x.pem}"
	for text, want := range map[string]*config.RFB{
		"":                                       nil,
		"rfb: {}":                                {Listen: "127.0.0.1", First: 15900, Last: 16899, None: true},
		"rfb: {" + tls + "}":                     {Listen: "127.0.0.1", First: 15900, Last: 16899},
		"rfb: {" + tls + ", none: true}":         {Listen: "127.0.0.1", First: 15900, Last: 16899, None: true},
		"rfb: {listen: 0.0.0.0, none: true}":     {Listen: "0.0.0.0", First: 15900, Last: 16899, None: true},
		"rfb: {listen: \"::1\", ports: 1-65535}": {Listen: "::1", First: 1, Last: 65535, None: true},
	} {
		if err := os.WriteFile("c.yaml", []byte("nodes: []\n"+text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := config.Load("c.yaml")
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if strings.Contains(text, "tls") {
			if c.RFB.TLS == nil {
				t.Errorf("%s: there is no TLS", text)
			}
			c.RFB.TLS = nil
		}
		if !reflect.DeepEqual(c.RFB, want) {
			t.Errorf("%s is read as %+v", text, c.RFB)
		}
	}
}
