package web

import (
	"encoding/json"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// node runs a module with Node.js and returns its standard output.
func node(t *testing.T, module string) string {
	t.Helper()
	program, err := exec.LookPath("node")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("Node.js is not installed")
	}
	cmd := exec.CommandContext(t.Context(), program, "--input-type=module", "-")
	cmd.Stdin = strings.NewReader(module)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	return string(out)
}

// Every module of ours must be valid as one.
func TestScriptsParse(t *testing.T) {
	names, err := filepath.Glob("static/js/*.js")
	if err != nil || len(names) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		quoted, err := json.Marshal(string(text))
		if err != nil {
			t.Fatal(err)
		}
		// The module's text is parsed and not run: it needs a browser.
		t.Run(filepath.Base(name), func(t *testing.T) {
			node(t, `import { spawnSync } from "node:child_process";
				const r = spawnSync(process.execPath, ["--check", "--input-type=module", "-"], { input: `+string(quoted)+`, encoding: "utf8" });
				if (r.status !== 0) { console.error(r.stderr); process.exit(1); }`)
		})
	}
}

// The console page finds its token wherever OpenStack's services, Horizon and
// our own API put it, and never connects to another server.
func TestConsoleAddresses(t *testing.T) {
	type address struct {
		Socket, Probe, Page, Title string
		View                       bool
		Error                      string
	}
	cases := []struct {
		page string
		want address
	}{
		{"http://h:6080/vnc_auto.html?token=T", address{Socket: "ws://h:6080/websockify?token=T"}},
		{"https://h/vnc_auto.html?token=T", address{Socket: "wss://h/websockify?token=T"}},
		{"https://h/vnc_lite.html?path=websockify%3Ftoken%3DT", address{Socket: "wss://h/websockify?token=T"}},
		{"https://h/vnc_auto.html?path=%3Ftoken%3DT", address{Socket: "wss://h/?token=T"}},
		{"https://h/vnc.html?path=/websockify%3Fnode%3DN%26token%3DT", address{Socket: "wss://h/websockify?node=N&token=T"}},
		{"https://h/vnc.html#token=T", address{Socket: "wss://h/websockify?token=T"}},
		{"https://h/vnc.html#?token=T&title=x", address{Socket: "wss://h/websockify?token=T", Title: "x"}},
		{"https://h/vnc.html#path=websockify%3Ftoken%3DT", address{Socket: "wss://h/websockify?token=T"}},
		{"https://h/below/vnc_auto.html?token=T", address{Socket: "wss://h/below/websockify?token=T"}},
		{"https://h/below/vnc_auto.html?path=%3Ftoken%3DT", address{Socket: "wss://h/below/?token=T"}},
		{"https://h/vnc_auto.html?token=a%2Bb.c_d-e%26f", address{Socket: "wss://h/websockify?token=a%2Bb.c_d-e%26f"}},
		{"https://h/vnc_auto.html?token=T&title=vm%20one(1-2)&autoconnect=1&resize=scale", address{Socket: "wss://h/websockify?token=T", Title: "vm one(1-2)"}},
		{"https://h/vnc_auto.html?token=T&mode=view", address{Socket: "wss://h/websockify?token=T", View: true}},
		{"https://h/vnc_auto.html?token=T&mode=operate", address{Socket: "wss://h/websockify?token=T"}},
		{"https://h/vnc_auto.html", address{Socket: "wss://h/websockify"}}, // a cookie may have the token
		{"https://h/vnc_auto.html?host=evil.example&port=1&token=T", address{Socket: "wss://h/websockify?token=T"}},
		{"https://h/vnc_auto.html?path=//evil.example/&token=T", address{Error: "another server"}},
		{"https://h/vnc_auto.html?path=wss://evil.example/&token=T", address{Error: "another server"}},
		{"https://h/vnc_auto.html?path=https:%5C%5Cevil.example&token=T", address{Error: "another server"}},
		{"https://h/vnc_auto.html?path=javascript:alert(1)&token=T", address{Error: "another server"}},
	}
	pages := make([]string, len(cases))
	for i, c := range cases {
		pages[i] = c.page
	}
	list, err := json.Marshal(pages)
	if err != nil {
		t.Fatal(err)
	}
	module, err := filepath.Abs("static/js/address.js")
	if err != nil {
		t.Fatal(err)
	}
	name, err := json.Marshal("file://" + filepath.ToSlash(module))
	if err != nil {
		t.Fatal(err)
	}
	out := node(t, `const { parse } = await import(`+string(name)+`);
		console.log(JSON.stringify(`+string(list)+`.map((page) => {
			try { return parse(page); } catch (err) { return { error: err.message }; }
		})));`)
	var got []address
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	for i, c := range cases {
		g := got[i]
		if c.want.Error != "" {
			if !strings.Contains(g.Error, c.want.Error) {
				t.Errorf("%s: %+v, not an error about %s", c.page, g, c.want.Error)
			}
			continue
		}
		// The server must see in the page's address what the page acts on.
		page, err := url.Parse(g.Page)
		if err != nil {
			t.Errorf("%s: %v", c.page, err)
			continue
		}
		token := page.Query().Get("token")
		if inner, err := url.Parse(page.Query().Get("path")); token == "" && err == nil {
			token = inner.Query().Get("token")
		}
		if want, err := url.Parse(c.want.Socket); err != nil || token != want.Query().Get("token") {
			t.Errorf("%s: the page's address %s has the token %q", c.page, g.Page, token)
		}
		probe := strings.Replace(g.Probe, "http", "ws", 1)
		if g.Error != "" || g.Socket != c.want.Socket || probe != g.Socket || g.Title != c.want.Title || g.View != c.want.View {
			t.Errorf("%s: %+v, want %+v", c.page, g, c.want)
		}
	}
}

// A new token takes the old one's place in the page's address, wherever that
// has it, and what a token says is read.
func TestConsoleTokens(t *testing.T) {
	module, err := filepath.Abs("static/js/address.js")
	if err != nil {
		t.Fatal(err)
	}
	name, err := json.Marshal("file://" + filepath.ToSlash(module))
	if err != nil {
		t.Fatal(err)
	}
	out := node(t, `const { withToken, claims } = await import(`+string(name)+`);
		const signed = (text) => "v4.public." + Buffer.concat([Buffer.from(text), Buffer.alloc(64, 0xfb)]).toString("base64url");
		console.log(JSON.stringify([
			withToken("https://h/vnc_auto.html?token=OLD&title=vm%20one", "NEW"),
			withToken("https://h/below/vnc_lite.html?path=websockify%3Ftoken%3DOLD", "NEW"),
			withToken("https://h/vnc.html#token=OLD", "NEW"),
			withToken("https://h/vnc.html#?token=OLD&title=x", "NEW"),
			withToken("https://h/vnc.html", "NEW"),
			claims(signed('{"node":"räck","mode":"view"}'))?.node,
			claims(signed("no JSON")), claims(signed('{"mode":"view"}')), claims("v4.public."), claims("9d4e5a3c-0d5f"), claims(""),
		]));`)
	var got []any
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	want := []any{
		"https://h/vnc_auto.html?token=NEW&title=vm+one",
		"https://h/below/vnc_lite.html?path=websockify%3Ftoken%3DNEW",
		"https://h/vnc.html#token=NEW",
		"https://h/vnc.html#?token=NEW&title=x",
		"https://h/vnc.html",
		"räck", nil, nil, nil, nil, nil,
	}
	for i := range want {
		if i >= len(got) || got[i] != want[i] {
			t.Errorf("%d: %v, want %v", i, got[i], want[i])
		}
	}
}
