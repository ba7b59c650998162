// Package keystone tells whose token of OpenStack's identity service a request
// carries, and what that person may do.
package keystone

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/tokens"
	"golang.org/x/sync/singleflight"
)

const (
	// DefaultCache is how long a token that was found good is not checked
	// again.
	DefaultCache = time.Minute
	// refusedFor is the same for one that was refused.
	refusedFor = 10 * time.Second
	// maxKnown and maxRefused bound what is kept of good tokens and of others:
	// whoever guesses pushes out guesses alone.
	maxKnown, maxRefused = 8192, 1024
	// maxChecks is how many tokens are checked at a time; others wait.
	maxChecks = 16
	// checkTime bounds one check, and waiting for it.
	checkTime = 15 * time.Second
	// maxToken caps a token in bytes. Fernet tokens have about 250.
	maxToken = 8192
)

// Config is how tokens are checked.
type Config struct {
	// URL is Keystone's address, as in https://keystone.example.net/v3.
	URL string
	// HTTP makes the calls; it must be set.
	HTTP *http.Client
	// SignIn, if not nil, gets a token of the service's own and returns the
	// client that carries it, with which tokens are checked. It is called again
	// when that token is refused. Where it is nil each token is checked with
	// itself.
	SignIn func(context.Context) (*gophercloud.ProviderClient, error)
	// Cache is how long a good token is not checked again, and so how long a
	// revoked one may go on; 0 is DefaultCache, negative not at all.
	Cache time.Duration
	// Log takes what happens; nil discards it. No token is ever logged.
	Log *slog.Logger
}

// Person is who a token belongs to.
type Person struct {
	// ID and Name are the user's, Domain is the name of the user's domain.
	ID, Name, Domain string
	// Project is the ID of the project that the token is for; "" is none.
	Project string
	// System is set where the token is for the whole system.
	System bool
	// Roles are those that the user has there, by name.
	Roles []string
	// Expires is when the token does.
	Expires time.Time
}

// Has reports whether the person has one of the roles.
func (p *Person) Has(roles ...string) bool {
	return slices.ContainsFunc(roles, func(r string) bool { return slices.Contains(p.Roles, r) })
}

// ErrRefused is a token that Keystone does not know, or not any more.
var ErrRefused = errors.New("the token is not known to Keystone")

// ErrUnavailable is a token of which Keystone says nothing.
var ErrUnavailable = errors.New("no answer from Keystone")

// Checker checks tokens. Its methods may be called from any goroutine.
type Checker struct {
	cfg    Config
	checks chan struct{} // holds one for each check under way
	flight singleflight.Group

	mu       sync.Mutex
	own      *gophercloud.ProviderClient // nil until SignIn was called
	known    map[sum]verdict
	refused  map[sum]verdict
	failing  bool // the last check had no answer
	accepted uint64
	denied   uint64
	failed   uint64
}

// sum is the SHA-256 of a token: what is kept opens nothing.
type sum [sha256.Size]byte

// verdict is what was found of a token; person is nil where it is refused.
type verdict struct {
	person *Person
	until  time.Time
}

// New returns a Checker.
func New(cfg Config) *Checker {
	if cfg.Cache == 0 {
		cfg.Cache = DefaultCache
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Checker{
		cfg: cfg, checks: make(chan struct{}, maxChecks), known: make(map[sum]verdict), refused: make(map[sum]verdict),
	}
}

// Counts returns how many tokens Keystone was asked about, by what came of it.
func (c *Checker) Counts() (accepted, refused, failed uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.accepted, c.denied, c.failed
}

// Check says who a token belongs to. The error is ErrRefused, ErrUnavailable
// or ctx's.
func (c *Checker) Check(ctx context.Context, token string) (*Person, error) {
	if token == "" || len(token) > maxToken || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, ErrRefused
	}
	key := sum(sha256.Sum256([]byte(token)))
	if v, ok := c.recall(key, time.Now()); ok {
		return v.answer()
	}
	// Several requests with one token ask once. It goes on when the one that
	// asked is gone, for the sake of the others.
	result := c.flight.DoChan(string(key[:]), func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), checkTime)
		defer cancel()
		return c.ask(ctx, key, token)
	})
	select {
	case r := <-result:
		if r.Err != nil {
			return nil, r.Err
		}
		return r.Val.(verdict).answer()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (v verdict) answer() (*Person, error) {
	if v.person == nil || !time.Now().Before(v.person.Expires) {
		return nil, ErrRefused
	}
	return v.person, nil
}

// recall returns what is known of a token.
func (c *Checker) recall(key sum, now time.Time) (verdict, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range []map[sum]verdict{c.known, c.refused} {
		if v, ok := m[key]; ok && now.Before(v.until) {
			return v, true
		}
	}
	return verdict{}, false
}

// ask asks Keystone, counts and keeps the answer.
func (c *Checker) ask(ctx context.Context, key sum, token string) (verdict, error) {
	var person *Person
	var err error
	select {
	case c.checks <- struct{}{}:
		person, err = c.lookUp(ctx, token)
		<-c.checks
	case <-ctx.Done():
		err = errors.New("too many tokens are being checked")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.failed++
		if !c.failing {
			c.cfg.Log.Error("Keystone cannot be asked about tokens", "keystone", c.cfg.URL, "err", err)
		}
		c.failing = true
		return verdict{}, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if c.failing {
		c.cfg.Log.Info("Keystone answers again", "keystone", c.cfg.URL)
	}
	c.failing = false
	now := time.Now()
	v := verdict{person, now.Add(c.cfg.Cache)}
	if person == nil {
		c.denied++
		v.until = now.Add(refusedFor)
		keep(c.refused, maxRefused, key, v, now)
		return v, nil
	}
	c.accepted++
	if c.cfg.Cache > 0 {
		keep(c.known, maxKnown, key, v, now)
	}
	return v, nil
}

// keep puts v into m, which stays below its limit: what is over goes first,
// then anything.
func keep(m map[sum]verdict, limit int, key sum, v verdict, now time.Time) {
	if len(m) >= limit {
		for k, old := range m {
			if !now.Before(old.until) {
				delete(m, k)
			}
		}
		for k := range m {
			if len(m) < limit {
				break
			}
			delete(m, k)
		}
	}
	m[key] = v
}

// lookUp asks Keystone who a token belongs to (GET /v3/auth/tokens); nil is
// nobody. The error says why there is no answer, without the token.
func (c *Checker) lookUp(ctx context.Context, token string) (*Person, error) {
	if c.cfg.SignIn == nil {
		self, err := openstack.NewClient(c.cfg.URL)
		if err != nil {
			return nil, errors.New("its address cannot be read")
		}
		self.HTTPClient = *c.cfg.HTTP
		self.SetToken(token)
		p, status, err := get(ctx, self, token)
		if status == http.StatusUnauthorized {
			return nil, nil // it does not even open the question
		}
		return p, err
	}
	for again := false; ; again = true {
		own, err := c.signedIn(ctx, again)
		if err != nil {
			return nil, err
		}
		p, status, err := get(ctx, own, token)
		switch {
		case status == http.StatusUnauthorized && !again:
			continue // the service's own has expired
		case status == http.StatusForbidden:
			return nil, errors.New("the service's own credential may not check tokens (403): give its user the role service or admin in its project, or reader of the system")
		}
		return p, err
	}
}

// signedIn returns the client with the service's own token, a new one where
// that is asked for.
func (c *Checker) signedIn(ctx context.Context, anew bool) (*gophercloud.ProviderClient, error) {
	c.mu.Lock()
	own := c.own
	c.mu.Unlock()
	if own != nil && !anew {
		return own, nil
	}
	own, err := c.cfg.SignIn(ctx)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.own = own
	return own, nil
}

// answer is what Keystone says of a token.
type answer struct {
	ExpiresAt time.Time `json:"expires_at"`
	User      struct {
		ID     string `json:"id"`
		Name   string `json:"name"`
		Domain struct {
			Name string `json:"name"`
		} `json:"domain"`
	} `json:"user"`
	Project *struct {
		ID string `json:"id"`
	} `json:"project"`
	System *struct {
		All bool `json:"all"`
	} `json:"system"`
	Roles []struct {
		Name string `json:"name"`
	} `json:"roles"`
}

// get makes the call. The status is that of an answer that is an error.
func get(ctx context.Context, as *gophercloud.ProviderClient, token string) (*Person, int, error) {
	client, err := openstack.NewIdentityV3(as, gophercloud.EndpointOpts{})
	if err != nil {
		return nil, 0, errors.New("its address cannot be read")
	}
	var a answer
	result := tokens.Get(ctx, client, token)
	var status gophercloud.ErrUnexpectedResponseCode
	switch {
	case errors.As(result.Err, &status) && status.Actual == http.StatusNotFound && strings.Contains(status.ResponseHeader.Get("Content-Type"), "json"):
		return nil, status.Actual, nil
	case errors.As(result.Err, &status):
		return nil, status.Actual, fmt.Errorf("it answers with %d", status.Actual)
	case result.Err != nil && ctx.Err() != nil:
		return nil, 0, errors.New("it does not answer in time")
	case result.Err != nil:
		return nil, 0, errors.New("it cannot be reached, or something else answers")
	}
	if err := result.ExtractIntoStructPtr(&a, "token"); err != nil || a.User.ID == "" || a.ExpiresAt.IsZero() {
		return nil, 0, errors.New("something else than Keystone answers")
	}
	p := &Person{ID: a.User.ID, Name: a.User.Name, Domain: a.User.Domain.Name, Expires: a.ExpiresAt}
	if a.Project != nil {
		p.Project = a.Project.ID
	}
	p.System = a.System != nil && a.System.All
	for _, r := range a.Roles {
		p.Roles = append(p.Roles, strings.ToLower(r.Name))
	}
	return p, 0, nil
}
