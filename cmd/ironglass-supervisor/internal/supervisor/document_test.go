package supervisor

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/ironglass/ironglass/x11"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// whole is a document with every setting but those of secrets, which
// TestSecuritySettings and TestSecretsInTheDocument have.
const whole = `{
	"listen": "unix:/run/console.sock",
	"geometry": "640x480",
	"security": ["none"],
	"insecure": true,
	"view_only": false,
	"name": "rack1-u12 – ü",
	"clipboard": "primary",
	"idle_exit": "90s",
	"on_demand": "1m30s",
	"log_level": "debug",
	"display": ":7",
	"framebuffer": "/run/screen",
	"metrics": "127.0.0.1:9100",
	"runtime_dir": "/",
	"command": ["xterm", "-e", "sh", "-c", "a, b"]
}`

func TestWholeDocument(t *testing.T) {
	given, err := parseDocument([]byte(whole), "test")
	if err != nil {
		t.Fatal(err)
	}
	s, err := resolve(given)
	if err != nil {
		t.Fatal(err)
	}
	if s.listen.String() != "unix:/run/console.sock" || s.width != 640 || s.height != 480 || s.secured.open() != "none" ||
		!s.insecure || s.viewOnly || s.name != "rack1-u12 – ü" || s.clipboard != x11.SelectionsPrimary || s.idleExit != 90*time.Second || s.onDemand != 90*time.Second || s.display != ":7" ||
		s.framebuffer != "/run/screen" || s.metrics != "127.0.0.1:9100" || s.runtimeDir != "/" ||
		!slices.Equal(s.command, []string{"xterm", "-e", "sh", "-c", "a, b"}) {
		t.Errorf("settings %+v", s)
	}
	// The table has no other row that the document above lacks.
	for _, row := range table() {
		if _, ok := given[row.name]; !ok && !slices.Contains([]string{"password-file", "password", "view-only-password", "tls-cert", "tls-key", "tls-client-ca", "rsa-key"}, row.name) {
			t.Errorf("the test's document lacks %q", row.key())
		}
	}
}

func TestDefaults(t *testing.T) {
	for _, doc := range []string{"{}", " {\n} \n"} {
		given, err := parseDocument([]byte(doc), "test")
		if err != nil {
			t.Fatal(err)
		}
		s, err := resolve(given)
		if err != nil {
			t.Fatal(err)
		}
		if s.listen.String() != "127.0.0.1:5900" || s.width != 1280 || s.height != 1024 || s.secured.open() != "none" || s.insecure ||
			s.clipboard != x11.SelectionsBoth || s.idleExit != 0 || s.onDemand != 0 || s.command != nil {
			t.Errorf("settings %+v", s)
		}
	}
}

func TestEveryTruncationIsAnError(t *testing.T) {
	for n := range len(whole) {
		if _, err := parseDocument([]byte(whole[:n]), "test"); err == nil {
			t.Errorf("the first %d bytes are accepted", n)
		}
	}
}

func TestNullIsNoValue(t *testing.T) {
	for _, member := range []string{`"name":null`, `"view_only":null`, `"command":null`, `"command":["a",null]`, `"security":{}`} {
		if given, err := parseDocument([]byte("{"+member+"}"), "test"); err == nil {
			t.Errorf("%s is accepted as %v", member, given)
		}
	}
}

func TestValuesAreNotShown(t *testing.T) {
	for _, member := range []string{
		`"name":["hunter2"]`, `"view_only":"hunter2"`, `"command":"hunter2"`, `"command":{"hunter2":1}`, `"no_such":"hunter2"`,
	} {
		_, err := parseDocument([]byte("{"+member+"}"), "test")
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s gives %v", member, err)
		}
	}
}

func FuzzParseDocument(f *testing.F) {
	f.Add([]byte(whole))
	f.Add([]byte(`{"a":1,"a":2}`))
	f.Add([]byte("{\n\"name\":\n\"\\u0000\"}"))
	f.Fuzz(func(t *testing.T, doc []byte) {
		given, err := parseDocument(doc, "test")
		if err != nil {
			return
		}
		// What is accepted is an object of JSON with known keys only.
		var all map[string]json.RawMessage
		if err := json.Unmarshal(doc, &all); err != nil || len(all) != len(given) {
			t.Fatalf("%d settings of %d keys, %v", len(given), len(all), err)
		}
		_, _ = resolve(given)
	})
}

func TestDocumentFromStandardInput(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	go func() {
		// In pieces, as a pipe may have it.
		for piece := range slices.Chunk([]byte(whole), 7) {
			_, _ = w.Write(piece)
		}
		w.Close()
	}()
	doc, name, err := readDocument("-", r, time.Hour)
	if err != nil || name != "standard input" || string(doc) != whole {
		t.Errorf("read %q of %s, %v", doc, name, err)
	}
}

func TestDocumentThatDoesNotEnd(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = readDocument("-", r, 10*time.Millisecond)
	if err == nil || !strings.Contains(err.Error(), "did not end within 10ms") {
		t.Errorf("error %v", err)
	}
	w.Close() // the reader's goroutine ends
}

func TestDocumentThatIsTooLong(t *testing.T) {
	file := filepath.Join(t.TempDir(), "document")
	for n, ok := range map[int]bool{maxDocument: true, maxDocument + 1: false} {
		if err := os.WriteFile(file, bytes.Repeat([]byte(" "), n), 0o600); err != nil {
			t.Fatal(err)
		}
		_, _, err := readDocument(file, nil, 0)
		if (err == nil) != ok {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

func TestUsageNamesEveryFlag(t *testing.T) {
	var b strings.Builder
	usage(&b)
	for _, row := range table() {
		if !row.document && !strings.Contains(b.String(), "\n  -"+row.name+" ") {
			t.Errorf("-%s is not in the usage", row.name)
		}
	}
	for line := range strings.Lines(b.String()) {
		if n := len([]rune(strings.TrimSuffix(line, "\n"))); n > 80 {
			t.Errorf("a line of the usage has %d characters: %s", n, line)
		}
	}
}

func TestFlagsGoOverTheDocument(t *testing.T) {
	a, err := parseArguments([]string{"-name", "flag", "-security", "none", "--", "xclock", "-update", "1"})
	if err != nil {
		t.Fatal(err)
	}
	given, err := parseDocument([]byte(`{"name":"document","geometry":"640x480","command":["xterm"]}`), "test")
	if err != nil {
		t.Fatal(err)
	}
	s, err := resolve(a.merge(given))
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(s.name, s.width, " ", s.command); got != "flag640 [xclock -update 1]" {
		t.Errorf("settings %s", got)
	}
}
