package token_test

import (
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/ironglass/ironglass/proxy/token"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var now = time.Date(2026, 3, 1, 12, 0, 0, 250e6, time.UTC)

func open(t *testing.T, dir string) *token.Authority {
	t.Helper()
	a, err := token.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func issue(t *testing.T, a *token.Authority, node string, mode token.Mode) string {
	t.Helper()
	text, _, err := a.Issue(token.Claims{Node: node, Mode: mode}, 10*time.Minute, now)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestIssueThenVerify(t *testing.T) {
	a := open(t, t.TempDir())
	for _, mode := range []token.Mode{token.View, token.Operate} {
		text, want, err := a.Issue(token.Claims{Node: "rack1-u12", Mode: mode}, 10*time.Minute, now)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(text, "v4.public.") {
			t.Errorf("the token starts with %.12q, not v4.public.", text)
		}
		got, err := a.Verify(text, now)
		if err != nil {
			t.Fatal(err)
		}
		if got.ID != want.ID || got.Node != "rack1-u12" || got.Mode != mode || got.ID == "" ||
			!got.Expires.Equal(want.Expires) || !got.IssuedAt.Equal(want.IssuedAt) {
			t.Errorf("verified %+v, issued %+v", got, want)
		}
		if strings.Contains(text, got.ID) {
			t.Error("the identifier for logs is part of the token's text")
		}
		if life := got.Expires.Sub(now); life < 10*time.Minute || life > 10*time.Minute+time.Second {
			t.Errorf("the token lives %v, not 10m to 10m1s", life)
		}
	}
}

// Who a token is for stands in it, and a renewed one names the first.
func TestHolder(t *testing.T) {
	a := open(t, t.TempDir())
	_, first, err := a.Issue(token.Claims{Node: "n", Mode: token.Operate, Name: "Åsa Öberg", Admin: true}, time.Hour, now)
	if err != nil {
		t.Fatal(err)
	}
	if first.Root != first.ID || first.Root == "" {
		t.Errorf("the first token goes back to %q and is %q", first.Root, first.ID)
	}
	text, _, err := a.Issue(first, time.Hour, now.Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	got, err := a.Verify(text, now)
	if err != nil {
		t.Fatal(err)
	}
	if got.Name != "Åsa Öberg" || !got.Admin || got.Root != first.ID || got.ID == first.ID || !got.Expires.After(first.Expires) {
		t.Errorf("the renewed token says %+v, the first %+v", got, first)
	}
}

func TestIssueRefuses(t *testing.T) {
	a := open(t, t.TempDir())
	for name, f := range map[string]func() error{
		"no node": func() error {
			_, _, err := a.Issue(token.Claims{Node: "", Mode: token.View}, time.Hour, now)
			return err
		},
		"no mode":      func() error { _, _, err := a.Issue(token.Claims{Node: "n", Mode: ""}, time.Hour, now); return err },
		"unknown mode": func() error { _, _, err := a.Issue(token.Claims{Node: "n", Mode: "admin"}, time.Hour, now); return err },
		"no lifetime":  func() error { _, _, err := a.Issue(token.Claims{Node: "n", Mode: token.View}, 0, now); return err },
		"too long": func() error {
			_, _, err := a.Issue(token.Claims{Node: strings.Repeat("n", 4096), Mode: token.View}, time.Hour, now)
			return err
		},
	} {
		if f() == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestVerifySaysWhatIsWrong(t *testing.T) {
	a, other := open(t, t.TempDir()), open(t, t.TempDir())
	good := issue(t, a, "n", token.View)
	payload, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(good, "v4.public."))
	if err != nil {
		t.Fatal(err)
	}
	raised := strings.Replace(string(payload), `"view"`, `"oper"`, 1)
	if raised == string(payload) {
		t.Fatal("the token's mode was not found in it")
	}
	for _, c := range []struct {
		name, text string
		at         time.Time
		want       error
	}{
		{"good", good, now, nil},
		{"good to the last moment", good, now.Add(10 * time.Minute), nil},
		{"over", good, now.Add(10*time.Minute + time.Second), token.ErrExpired},
		{"empty", "", now, token.ErrUnknown},
		{"no token", "swordfish", now, token.ErrUnknown},
		{"header alone", "v4.public.", now, token.ErrUnknown},
		{"another version", "v2.public." + strings.TrimPrefix(good, "v4.public."), now, token.ErrUnknown},
		{"another purpose", "v4.local." + strings.TrimPrefix(good, "v4.public."), now, token.ErrUnknown},
		{"changed", "v4.public." + base64.RawURLEncoding.EncodeToString([]byte(raised)), now, token.ErrUnknown},
		{"cut short", good[:len(good)-4], now, token.ErrUnknown},
		{"with a footer", good + ".Zm9v", now, token.ErrUnknown},
		{"another authority's", issue(t, other, "n", token.View), now, token.ErrUnknown},
		{"far too long", strings.Repeat("a", 1<<20), now, token.ErrUnknown},
	} {
		_, err := a.Verify(c.text, c.at)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		if err != nil && len(c.text) > 20 && strings.Contains(err.Error(), c.text[:20]) {
			t.Errorf("%s: the error quotes the token: %v", c.name, err)
		}
	}
}

func TestEveryTruncation(t *testing.T) {
	a := open(t, t.TempDir())
	good := issue(t, a, "n", token.View)
	for i := range good {
		if _, err := a.Verify(good[:i], now); !errors.Is(err, token.ErrUnknown) {
			t.Fatalf("cut to %d bytes: %v", i, err)
		}
	}
}

func TestWrongNode(t *testing.T) {
	a := open(t, t.TempDir())
	c, err := a.Verify(issue(t, a, "one", token.View), now)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.For("one"); err != nil {
		t.Error(err)
	}
	if err := c.For("two"); !errors.Is(err, token.ErrWrongNode) {
		t.Errorf("the other node: %v", err)
	}
}

func TestRevocationIsOfOneNodeAndSurvivesARestart(t *testing.T) {
	dir := t.TempDir()
	a := open(t, dir)
	one, two := issue(t, a, "one", token.View), issue(t, a, "two", token.View)
	if err := a.Revoke("one"); err != nil {
		t.Fatal(err)
	}
	newer := issue(t, a, "one", token.View)
	for _, a := range []*token.Authority{a, open(t, dir)} {
		if _, err := a.Verify(one, now); !errors.Is(err, token.ErrRevoked) {
			t.Errorf("the revoked token: %v", err)
		}
		if _, err := a.Verify(two, now); err != nil {
			t.Errorf("the other node's token: %v", err)
		}
		if _, err := a.Verify(newer, now); err != nil {
			t.Errorf("a token issued after: %v", err)
		}
	}
}

func TestKeyFile(t *testing.T) {
	dir := t.TempDir()
	open(t, dir)
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("files in the state directory: %v, %v", files, err)
	}
	st, err := os.Stat(files[0])
	if err != nil {
		t.Fatal(err)
	}
	if st.Mode().Perm() != 0o600 {
		t.Errorf("the key's mode is %v", st.Mode())
	}
	if err := os.Chmod(files[0], 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := token.Open(dir); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a key that others can read: %v", err)
	}
	if err := os.WriteFile(files[0], []byte("no key"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(files[0], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := token.Open(dir); err == nil || !strings.Contains(err.Error(), files[0]) {
		t.Errorf("a damaged key: %v", err)
	}
	if _, err := token.Open(filepath.Join(dir, "missing")); err == nil {
		t.Error("a missing directory: no error")
	}
}

func TestDamagedGenerations(t *testing.T) {
	dir := t.TempDir()
	a := open(t, dir)
	if err := a.Revoke("n"); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "token-generations.json")
	for _, text := range []string{"", "null", "{", `{"n":-1}`} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := token.Open(dir); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestRevokeSaysWhenItCannotBeSaved(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	a := open(t, dir)
	text := issue(t, a, "n", token.View)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := a.Revoke("n"); err == nil {
		t.Error("no error without the directory")
	}
	if _, err := a.Verify(text, now); !errors.Is(err, token.ErrRevoked) {
		t.Errorf("after a revocation that was not saved: %v", err)
	}
}

func TestSeveralStartsAtOnceShareOneKey(t *testing.T) {
	dir := t.TempDir()
	as := make([]*token.Authority, 16)
	var wg sync.WaitGroup
	for i := range as {
		wg.Go(func() {
			a, err := token.Open(dir)
			if err != nil {
				t.Error(err)
				return
			}
			as[i] = a
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	text := issue(t, as[0], "n", token.View)
	for i, a := range as {
		if _, err := a.Verify(text, now); err != nil {
			t.Errorf("authority %d: %v", i, err)
		}
	}
	left, err := filepath.Glob(filepath.Join(dir, ".*"))
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestEphemeral(t *testing.T) {
	a, err := token.Ephemeral()
	if err != nil {
		t.Fatal(err)
	}
	text := issue(t, a, "n", token.Operate)
	if _, err := a.Verify(text, now); err != nil {
		t.Fatal(err)
	}
	if err := a.Revoke("n"); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Verify(text, now); !errors.Is(err, token.ErrRevoked) {
		t.Errorf("after a revocation: %v", err)
	}
}

func FuzzVerify(f *testing.F) {
	a, err := token.Ephemeral()
	if err != nil {
		f.Fatal(err)
	}
	good, claims, err := a.Issue(token.Claims{Node: "n", Mode: token.View}, time.Hour, now)
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{good, good + ".", "v4.public.", "", "v4.public.AAAA", "...."} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		// Base64 lets the same bytes be written in more than one way.
		if c, err := a.Verify(text, now); err == nil && c != claims {
			t.Errorf("%q is accepted and says %+v", text, c)
		}
	})
}
