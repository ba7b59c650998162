package keystone_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"go.uber.org/goleak"

	"github.com/ironglass/ironglass/proxy/keystone"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	own    = "a-token-of-the-service"
	theirs = "gAAAAA-a-token-of-theirs"
)

// server is Keystone without a network.
type server struct {
	mu     sync.Mutex
	asked  int
	status int           // other than what Keystone says
	body   string        // other than what Keystone says
	kind   string        // its Content-Type
	delay  time.Duration // before an answer
	good   map[string]time.Time
	trusts string // what X-Auth-Token must be; "" is the token itself
}

func (s *server) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	s.asked++
	delay := s.delay
	s.mu.Unlock()
	select {
	case <-time.After(delay):
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	w := httptest.NewRecorder()
	w.Header().Set("Content-Type", "application/json")
	if s.kind != "" {
		w.Header().Set("Content-Type", s.kind)
	}
	subject, auth := r.Header.Get("X-Subject-Token"), r.Header.Get("X-Auth-Token")
	expires, ok := s.good[subject]
	status, body := http.StatusOK, ""
	switch {
	case r.URL.Path != "/v3/auth/tokens":
		status = http.StatusNotFound
	case s.trusts == "" && (auth != subject || !ok), s.trusts != "" && auth != s.trusts:
		status = http.StatusUnauthorized
	case !ok:
		status = http.StatusNotFound
	default:
		text, err := json.Marshal(map[string]any{"token": map[string]any{
			"expires_at": expires, "project": map[string]any{"id": "p"}, "roles": []map[string]any{{"name": "Member"}, {"name": "reader"}},
			"user": map[string]any{"id": "u", "name": "ann", "domain": map[string]any{"name": "Default"}},
		}})
		if err != nil {
			return nil, err
		}
		body = string(text)
	}
	if s.status != 0 {
		status, body = s.status, theirs
	}
	if s.body != "" {
		body = s.body
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
	resp := w.Result()
	resp.Request = r
	return resp, nil
}

func (s *server) set(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func (s *server) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

// checker returns one that asks s, and what it logs.
func checker(s *server, change func(*keystone.Config)) (*keystone.Checker, *bytes.Buffer) {
	var log bytes.Buffer
	cfg := keystone.Config{URL: "http://keystone/v3", HTTP: &http.Client{Transport: s}, Log: slog.New(slog.NewTextHandler(&log, nil))}
	if change != nil {
		change(&cfg)
	}
	return keystone.New(cfg), &log
}

// signIn is Config's, for the token that *current is; it counts.
func signIn(s *server, current *string, calls *int) func(*keystone.Config) {
	return func(c *keystone.Config) {
		c.SignIn = func(context.Context) (*gophercloud.ProviderClient, error) {
			*calls++
			if *current == "" {
				return nil, errors.New("the service's own credential is refused (401)")
			}
			p, err := openstack.NewClient("http://keystone/v3")
			if err != nil {
				return nil, err
			}
			p.HTTPClient = http.Client{Transport: s}
			p.SetToken(*current)
			return p, nil
		}
	}
}

func TestPerson(t *testing.T) {
	s := &server{good: map[string]time.Time{theirs: time.Now().Add(time.Hour)}}
	c, _ := checker(s, nil)
	p, err := c.Check(t.Context(), theirs)
	if err != nil {
		t.Fatal(err)
	}
	if p.ID != "u" || p.Name != "ann" || p.Domain != "Default" || p.Project != "p" || p.System || !p.Has("admin", "member") || p.Has("admin") || !p.Has("reader") {
		t.Errorf("the person is %+v", p)
	}
}

// TestCache: a good token is asked about once in a while, by however many at
// once, never past its end; a bad one is asked about sooner.
func TestCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{good: map[string]time.Time{theirs: time.Now().Add(10 * time.Minute)}, delay: time.Second}
		c, _ := checker(s, nil)
		check := func() error {
			_, err := c.Check(t.Context(), theirs)
			return err
		}
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				if err := check(); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n := s.count(); n != 1 {
			t.Errorf("a hundred requests asked %d times", n)
		}
		time.Sleep(50 * time.Second)
		if err := check(); err != nil || s.count() != 1 {
			t.Errorf("within the minute: %v, asked %d times", err, s.count())
		}
		time.Sleep(15 * time.Second)
		if err := check(); err != nil || s.count() != 2 {
			t.Errorf("after the minute: %v, asked %d times", err, s.count())
		}
		s.set(func() { s.good[theirs] = time.Now().Add(20 * time.Second) })
		time.Sleep(time.Minute)
		s.set(func() { s.good[theirs] = time.Now().Add(20 * time.Second) })
		if err := check(); err != nil {
			t.Error(err)
		}
		time.Sleep(30 * time.Second)
		if err := check(); !errors.Is(err, keystone.ErrRefused) {
			t.Errorf("past its end: %v", err)
		}
		s.set(func() { delete(s.good, theirs) })
		time.Sleep(time.Minute)
		before := s.count()
		for range 3 {
			if err := check(); !errors.Is(err, keystone.ErrRefused) {
				t.Errorf("revoked: %v", err)
			}
		}
		s.set(func() { s.good[theirs] = time.Now().Add(time.Hour) })
		time.Sleep(11 * time.Second)
		if err := check(); err != nil || s.count() != before+2 {
			t.Errorf("good again: %v, asked %d times", err, s.count()-before)
		}
		if ok, no, failed := c.Counts(); ok != 4 || no != 1 || failed != 0 {
			t.Errorf("counted %d, %d, %d", ok, no, failed)
		}
	})
}

// TestGuesses: guesses push out no good token, and what cannot be a token is
// not asked about.
func TestGuesses(t *testing.T) {
	s := &server{good: map[string]time.Time{theirs: time.Now().Add(time.Hour)}}
	c, _ := checker(s, nil)
	if _, err := c.Check(t.Context(), theirs); err != nil {
		t.Fatal(err)
	}
	for i := range 3000 {
		if _, err := c.Check(t.Context(), fmt.Sprint("guess", i)); !errors.Is(err, keystone.ErrRefused) {
			t.Fatal(err)
		}
	}
	before := s.count()
	if _, err := c.Check(t.Context(), theirs); err != nil || s.count() != before {
		t.Errorf("the good token: %v", err)
	}
	for _, text := range []string{"", "a b", "a\r\nb", "ä", strings.Repeat("x", 8193)} {
		if _, err := c.Check(t.Context(), text); !errors.Is(err, keystone.ErrRefused) || s.count() != before {
			t.Errorf("%.10q: %v", text, err)
		}
	}
}

// TestOwnCredential: the service's own token is replaced when it has expired,
// and what is wrong with it is never taken for a fault of others.
func TestOwnCredential(t *testing.T) {
	s := &server{good: map[string]time.Time{theirs: time.Now().Add(time.Hour)}, trusts: own}
	current, calls := own, 0
	c, log := checker(s, func(cfg *keystone.Config) { signIn(s, &current, &calls)(cfg); cfg.Cache = -1 })
	check := func(want error) {
		t.Helper()
		if _, err := c.Check(t.Context(), theirs); !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
	}
	check(nil)
	check(nil)
	if calls != 1 {
		t.Errorf("signed in %d times", calls)
	}
	s.trusts, current = own+"2", own+"2"
	check(nil)
	if _, err := c.Check(t.Context(), "nonsense"); !errors.Is(err, keystone.ErrRefused) || calls != 2 {
		t.Errorf("%v after %d calls", err, calls)
	}
	s.trusts = own + "3"
	check(keystone.ErrUnavailable)
	current = ""
	check(keystone.ErrUnavailable)
	current = own + "3"
	check(nil)
	s.status = http.StatusForbidden
	check(keystone.ErrUnavailable)
	for _, secret := range []string{own, theirs} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("logged: %s", log)
		}
	}
	if text := log.String(); strings.Count(text, "level=ERROR") != 2 || !strings.Contains(text, "may not check tokens (403)") || !strings.Contains(text, "answers again") {
		t.Errorf("logged: %s", text)
	}
}

// TestFaults: no answer is no refusal, is counted, and is logged once without
// the token.
func TestFaults(t *testing.T) {
	for name, s := range map[string]*server{
		"500":              {status: 500},
		"503":              {status: 503},
		"404 of a web":     {status: 404, kind: "text/html"},
		"a page":           {body: "<html>" + theirs},
		"another's JSON":   {body: `{"token": {}}`},
		"no token":         {body: `{"x": 1}`},
		"token of a wrong": {body: `{"token": "` + theirs + `"}`},
		"cut off":          {body: `{"token": {"user": {"id": "` + theirs},
	} {
		t.Run(name, func(t *testing.T) {
			s.good = map[string]time.Time{theirs: time.Now().Add(time.Hour)}
			c, log := checker(s, nil)
			for range 2 {
				if _, err := c.Check(t.Context(), theirs); !errors.Is(err, keystone.ErrUnavailable) || strings.Contains(err.Error(), theirs) {
					t.Errorf("the error is %v", err)
				}
			}
			if text := log.String(); strings.Count(text, "\n") != 1 || strings.Contains(text, theirs) {
				t.Errorf("logged: %s", text)
			}
			if _, _, failed := c.Counts(); failed != 2 {
				t.Errorf("%d failures are counted", failed)
			}
		})
	}
	t.Run("silence", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, _ := checker(&server{delay: time.Hour}, nil)
			begin := time.Now()
			if _, err := c.Check(t.Context(), theirs); !errors.Is(err, keystone.ErrUnavailable) || time.Since(begin) > 20*time.Second {
				t.Errorf("%v after %v", err, time.Since(begin))
			}
			// Who goes away waits for nothing.
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if _, err := c.Check(ctx, theirs); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%v", err)
			}
			time.Sleep(time.Minute)
		})
	})
}
