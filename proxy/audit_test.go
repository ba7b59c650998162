package proxy_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ironglass/ironglass/proxy"
	"github.com/ironglass/ironglass/proxy/token"
)

// records reads an audit log.
func records(t *testing.T, path string) (list []map[string]any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(text) {
		var r map[string]any
		if err := json.Unmarshal(line, &r); err != nil || !bytes.HasSuffix(line, []byte("\n")) {
			t.Fatalf("%q is no record: %v", line, err)
		}
		list = append(list, r)
	}
	return list
}

// Everything that people do is noted with who, from where, at which node and
// when, and nothing of what they type.
func TestAudit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	var secrets []string
	people(t, func(cfg *proxy.Config, n *proxy.Node) {
		n.Seats = proxy.SeatsExclusive
		cfg.AuditFile = path
	}, func(t *testing.T, b *bubble) {
		ann := b.come("Ann", operates)
		boss := b.come("Boss", token.Claims{Mode: token.Operate, Name: "Boss", Admin: true})
		ann.press('q', true)
		wantCode(t, boss.seat("request", nil), "")
		wantCode(t, ann.seat("grant", boss), "")
		wantCode(t, ann.seat("request", nil), "")
		wantCode(t, boss.seat("refuse", ann), "")
		wantCode(t, boss.seat("take", ann), "")
		b.asks(ann.token, ann.secret, "POST", "/lease", `{"action":"extend"}`)
		for path, want := range map[string]int{"/tokens/renew": 201, "/tokens": 401} {
			status, text := b.do(ann.token, ann.secret, "POST", path, "")
			if status != want {
				t.Errorf("%s: %d %s", path, status, text)
			}
			var got struct{ Token string }
			_ = json.Unmarshal(text, &got)
			if got.Token != "" {
				b.secrets = append(b.secrets, got.Token)
			}
		}
		b.do(bearer, "", "POST", "/tokens", `{"name":"Guest","mode":"view"}`)
		b.do(bearer, "", "GET", "/screenshot?start=false&width=480", "")
		b.do(bearer, "", "GET", "/screenshot", "")
		after(time.Minute)
		boss.leave()
		after(15 * time.Minute)
		ann.wantEnd(4002, "")
		if err := b.svc.Console("n").Disable("off"); err != nil {
			t.Fatal(err)
		}
		secrets = b.secrets
	})
	var actions []string
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range append(secrets, "keysym", "113") { // 'q' is 113
		if bytes.Contains(text, []byte(s)) {
			t.Errorf("%s is in the audit log:\n%s", s, text)
		}
	}
	list := records(t, path)
	for _, r := range list {
		actions = append(actions, r["action"].(string)+" "+r["who"].(string))
		at, err := time.Parse(time.RFC3339, r["time"].(string))
		if err != nil || !strings.HasSuffix(r["time"].(string), "Z") || at.Year() != 2000 || r["node"] != "n" || r["level"] != nil || r["msg"] != nil {
			t.Errorf("%v, %v", r, err)
		}
		if by := r["who"] != "service"; by != (r["from"] == "192.0.2.7") || by && r["who"] != "api" && r["token_id"] == "" {
			t.Errorf("%v", r)
		}
	}
	for i, a := range actions {
		if id, ok := list[i]["token_id"].(string); ok && strings.HasSuffix(a, id) {
			actions[i] = strings.TrimSuffix(a, id) + "ann" // who has no name in the token is its ID
		}
	}
	want := []string{
		"session-began ann", "seat-granted service", "session-began Boss", "seat-requested Boss", "seat-granted ann",
		"seat-requested ann", "seat-refused Boss", "seat-taken Boss", "lease-extended ann", "token-renewed ann", "token-issued api", "screenshot api",
		"session-ended Boss", "lease-ended service", "session-ended ann",
	}
	if got := strings.Join(actions, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("the records are\n%s\nnot\n%s", got, strings.Join(want, "\n"))
	}
	for _, r := range list {
		switch r["action"] {
		case "session-ended":
			if s, ok := r["seconds"].(float64); !ok || s < 60 || s > 1000 || r["session"] == "" || r["mode"] != "operate" {
				t.Errorf("%v", r)
			}
		case "lease-ended":
			if r["reason"] != "Nobody used it for 15 minutes." {
				t.Errorf("%v", r)
			}
		}
	}
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", st.Mode(), err)
	}
}

// Reopen goes on in a new file, without a record lost between.
func TestAuditRotation(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "audit")
	s := start(t, func(c *proxy.Config) { c.AuditFile = path }, proxy.Node{Name: "n", Backend: newMachine(t, 64, 48)})
	disable := func(enabled string) {
		s.call("PUT", "/v1/nodes/n/states/console", `{"enabled":`+enabled+`}`, 202, nil)
	}
	disable("false")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	disable("true")
	eventually(t, func() bool { return len(records(t, path+".1")) == 2 })
	if err := s.svc.Reopen(); err != nil {
		t.Fatal(err)
	}
	disable("false")
	eventually(t, func() bool { return len(records(t, path)) == 1 })
	if list := append(records(t, path+".1"), records(t, path)...); list[0]["action"] != "console-disabled" || list[1]["action"] != "console-enabled" ||
		list[2]["action"] != "console-disabled" || list[0]["who"] != "api" || list[0]["from"] != "127.0.0.1" {
		t.Errorf("%v", list)
	}
	// Where no new file can be made the old one is gone on with.
	if err := os.Rename(path, path+".2"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := s.svc.Reopen(); err == nil || !strings.Contains(err.Error(), "audit.file") {
		t.Errorf("a directory in its place: %v", err)
	}
	disable("true")
	eventually(t, func() bool { return len(records(t, path+".2")) == 2 })
	s.call("GET", "/v1/nodes", "", 200, nil)
}

// A log that cannot be written stops nobody: what is lost is counted and said.
func TestAuditThatCannotBeWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	// A pipe that nobody reads, and that is full soon, is the slowest of disks.
	reader, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, func(c *proxy.Config) { c.AuditFile = path }, proxy.Node{Name: "n", Backend: newMachine(t, 64, 48)})
	t.Cleanup(func() { _ = reader.Close() }) // runs before the service is closed, which then need not wait
	for range 6000 {
		s.call("POST", "/v1/nodes/n/console/tokens", `{}`, 201, nil)
	}
	s.awaitLog("records are lost")
	if m := s.request("GET", "/metrics", "", nil).Text; strings.Contains(m, "ironglass_audit_lost_total 0\n") || !strings.Contains(m, "ironglass_audit_lost_total ") {
		t.Error("no lost record is counted")
	}
}

func TestAuditFileThatCannotBeMade(t *testing.T) {
	tokens, err := token.Ephemeral()
	if err != nil {
		t.Fatal(err)
	}
	_, err = proxy.New(proxy.Config{Page: pages, Tokens: tokens, AuditFile: filepath.Join(t.TempDir(), "no", "audit")})
	if err == nil || !strings.Contains(err.Error(), "audit.file") {
		t.Errorf("a missing directory: %v", err)
	}
}

// eventually waits until ok is true.
func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for ctx := patience(t); !ok(); {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("in vain")
		}
	}
}
