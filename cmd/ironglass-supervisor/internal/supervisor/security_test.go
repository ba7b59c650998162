package supervisor

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ironglass/ironglass/rfb/security"
	"github.com/ironglass/ironglass/rfb/security/securitytest"
)

// settle resolves what flags and a document give.
func settle(t *testing.T, document string, flags ...string) (settings, error) {
	t.Helper()
	a, err := parseArguments(flags)
	if err != nil {
		t.Fatal(err)
	}
	given, err := parseDocument([]byte(document), "test")
	if err != nil {
		t.Fatal(err)
	}
	return resolve(a.merge(given))
}

func TestSecuritySettings(t *testing.T) {
	dir := t.TempDir()
	pki, err := securitytest.NewPKI("node.test")
	if err != nil {
		t.Fatal(err)
	}
	if err := pki.Files(dir); err != nil {
		t.Fatal(err)
	}
	file := func(name string) string { return filepath.Join(dir, name) }
	if err := os.WriteFile(file("passwords"), []byte("operate-me\r\nlook-only\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tls := []string{"-tls-cert", file("server.pem"), "-tls-key", file("server.key")}
	want := security.Passwords{Operate: "operate-me", View: "look-only"}

	s, err := settle(t, "{}", append(tls, "-security", "vencrypt,vnc,ra2ne,tight,none", "-password-file", file("passwords"),
		"-tls-client-ca", file("ca.pem"), "-rsa-key", file("rsa"))...)
	if err != nil {
		t.Fatal(err)
	}
	v, ok := s.secured.types[0].(security.VeNCrypt)
	if !ok || v.Auth != want || v.Passwords != want || v.TLS.ClientCAs == nil || len(v.TLS.Certificates) != 1 {
		t.Errorf("vencrypt is %+v", v)
	}
	if got, ok := s.secured.types[1].(security.VNCAuth); !ok || got.Passwords != want {
		t.Errorf("vnc is %T", s.secured.types[1])
	}
	ra2, ok := s.secured.types[2].(security.RA2)
	if !ok || ra2.Type != security.NumberRA2ne || ra2.Auth != want || ra2.Key == nil {
		t.Errorf("ra2ne is %T", s.secured.types[2])
	}
	if got, ok := s.secured.types[3].(security.Tight); !ok || got.Passwords != want {
		t.Errorf("tight is %T", s.secured.types[3])
	}
	if s.secured.open() != "none" || len(s.secured.types) != 5 {
		t.Errorf("%d types, open is %q", len(s.secured.types), s.secured.open())
	}
	again, err := settle(t, "{}", "-security", "ra2", "-password-file", file("passwords"), "-rsa-key", file("rsa"))
	if err != nil || !again.secured.rsaKey.Equal(ra2.Key) {
		t.Errorf("the RSA key changes: %v", err)
	}
	var log bytes.Buffer
	s.secured.tell(slog.New(slog.NewTextHandler(&log, nil)))
	if !strings.Contains(log.String(), "first 8 bytes") || !strings.Contains(log.String(), security.ShortFingerprint(&ra2.Key.PublicKey)) ||
		strings.Contains(log.String(), "operate-me") {
		t.Errorf("told: %s", &log)
	}

	// What lets everybody in.
	for name, test := range map[string]struct {
		flags []string
		open  string
	}{
		"nothing":                      {nil, "none"},
		"tight":                        {[]string{"-security", "tight"}, "tight"},
		"tight with a password":        {[]string{"-security", "tight", "-password-file", file("passwords")}, ""},
		"vencrypt":                     {append(tls, "-security", "vencrypt"), "vencrypt"},
		"vencrypt with an authority":   {append(tls, "-security", "vencrypt", "-tls-client-ca", file("ca.pem")), ""},
		"vencrypt with a password":     {append(tls, "-security", "vencrypt", "-password-file", file("passwords")), ""},
		"a password, and tight beside": {[]string{"-security", "vnc,tight", "-password-file", file("passwords")}, ""},
	} {
		s, err := settle(t, "{}", test.flags...)
		if err != nil || s.secured.open() != test.open {
			t.Errorf("%s: open is %q, %v", name, s.secured.open(), err)
		}
	}
}

// A document can hold the secrets themselves.
func TestSecretsInTheDocument(t *testing.T) {
	dir := t.TempDir()
	pki, err := securitytest.NewPKI("node.test")
	if err != nil {
		t.Fatal(err)
	}
	if err := pki.Files(dir); err != nil {
		t.Fatal(err)
	}
	document := map[string]any{"security": []string{"vencrypt", "vnc"}, "password": "operate-me", "view_only_password": "look-only"}
	for key, name := range map[string]string{"tls_cert": "server.pem", "tls_key": "server.key", "tls_client_ca": "ca.pem"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		document[key] = string(text)
	}
	b, err := json.Marshal(document)
	if err != nil {
		t.Fatal(err)
	}
	s, err := settle(t, string(b))
	if err != nil {
		t.Fatal(err)
	}
	if want := (security.Passwords{Operate: "operate-me", View: "look-only"}); s.secured.types[1].(security.VNCAuth).Passwords != want {
		t.Error("the passwords are others")
	}
	// A flag has the file's name, and what else it has is not shown.
	_, err = settle(t, "{}", "-security", "vencrypt", "-tls-key", document["tls_key"].(string))
	if err == nil || strings.Contains(err.Error(), "PRIVATE KEY") {
		t.Errorf("error %v", err)
	}
	for _, bad := range []string{
		`{"security": ["vnc"], "password": "hunter2hunter2", "view_only_password": "hunter2hunter3"}`,
		`{"security": ["ra2"], "password": "hunter2", "view_only_password": "hunter2"}`,
		`{"security": ["vnc"], "password": ""}`,
		`{"security": ["ra2"], "password": "` + strings.Repeat("hunter2", 40) + `"}`,
		`{"security": ["none"], "password": "hunter2"}`,
		`{"security": ["vencrypt"], "tls_cert": "-----BEGIN hunter2", "tls_key": "-----BEGIN hunter2"}`,
	} {
		if _, err := settle(t, bad); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
