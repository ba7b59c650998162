// Package nova asks Nova's API which console a token of Nova's opens.
package nova

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
)

// Errors of a Client wrap one of these.
var (
	// ErrUnknown: Nova does not know the token, or its time is over.
	ErrUnknown = errors.New("Nova does not know this token, or its time is over") //nolint:staticcheck // a name
	// ErrUnavailable: Keystone or Nova does not answer as it should.
	ErrUnavailable = errors.New("Nova cannot be asked") //nolint:staticcheck // a name
	// ErrDenied: Keystone or Nova does not accept the service's credential.
	ErrDenied = errors.New("OpenStack does not accept this service's credential")
)

// Config is where Nova is and what the service proves itself by: an
// application credential, or a name and a password. Only an administrator may
// ask for other people's tokens.
type Config struct {
	// AuthURL is Keystone's, as in https://keystone.example.net/v3.
	AuthURL string
	// Region and Interface (public, internal or admin) choose among the
	// catalogue's endpoints; "" is the first, and public.
	Region, Interface string
	// Endpoint is the compute API's, in place of the catalogue's.
	Endpoint string
	// ApplicationCredentialID names an application credential.
	ApplicationCredentialID string
	// Username, Project and their domains are for a password.
	Username, Project, UserDomain, ProjectDomain string
	// SecretFile holds the application credential's secret or the password.
	SecretFile string
	// HTTP makes the requests; nil is a client of its own.
	HTTP *http.Client
}

// Console is what a token opens.
type Console struct {
	Instance string `json:"instance_uuid"`
	Host     string `json:"host"`
	Port     int    `json:"port"`
	Path     string `json:"internal_access_path"`
}

const (
	// microversion is the first whose tokens are not for RDP alone.
	microversion = "2.31"
	// askTime bounds one question, with the sign-in that it may need.
	askTime = 15 * time.Second
	// keepTime is how long an answer holds: a page asks twice, and then for
	// what it shows.
	keepTime = 10 * time.Second
	// maxKept bounds the answers kept.
	maxKept = 4096
	// maxAsking bounds the questions at a time; others wait for their turn.
	maxAsking = 8
	// maxSecretFile is the longest file with a secret, in bytes.
	maxSecretFile = 4096
)

// Client asks. Its methods may be called from any goroutine.
type Client struct {
	cfg    Config
	asking chan struct{} // holds a token for each question

	signing sync.Mutex // held while signing in
	compute *gophercloud.ServiceClient

	mu   sync.Mutex
	kept map[[sha256.Size]byte]*answer
}

// answer is Nova's. What it says is read after done.
type answer struct {
	at      time.Time
	done    chan struct{}
	console Console
	err     error
}

// New returns a client. Nothing is asked yet.
func New(cfg Config) *Client {
	if cfg.HTTP == nil {
		cfg.HTTP = &http.Client{Transport: http.DefaultTransport}
	}
	return &Client{cfg: cfg, asking: make(chan struct{}, maxAsking), kept: make(map[[sha256.Size]byte]*answer)}
}

// IsToken reports whether text has the form of Nova's tokens, a UUID.
func IsToken(text string) bool {
	if len(text) != 36 {
		return false
	}
	for i, c := range []byte(text) {
		hyphen := i == 8 || i == 13 || i == 18 || i == 23
		hex := c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
		if hyphen != (c == '-') || !hyphen && !hex {
			return false
		}
	}
	return true
}

// Console says which console a token opens. An answer holds for ten seconds.
func (c *Client) Console(ctx context.Context, token string) (Console, error) {
	key := sha256.Sum256([]byte(token))
	a, mine := c.find(key, time.Now())
	if mine {
		// Others may wait for it: it does not end with who asked first.
		a.console, a.err = c.ask(context.WithoutCancel(ctx), token)
		if a.err != nil && !errors.Is(a.err, ErrUnknown) {
			c.forget(key, a) // what is out of order may be in order at once
		}
		close(a.done)
	}
	select {
	case <-a.done:
		return a.console, a.err
	case <-ctx.Done():
		return Console{}, fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())
	}
}

// find returns the answer for a token; mine says that the caller must get it.
func (c *Client) find(key [sha256.Size]byte, now time.Time) (a *answer, mine bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if a := c.kept[key]; a != nil && now.Sub(a.at) < keepTime {
		return a, false
	}
	if len(c.kept) >= maxKept {
		for k, a := range c.kept {
			if now.Sub(a.at) >= keepTime {
				delete(c.kept, k)
			}
		}
	}
	a = &answer{at: now, done: make(chan struct{})}
	if len(c.kept) < maxKept {
		c.kept[key] = a
	}
	return a, true
}

func (c *Client) forget(key [sha256.Size]byte, a *answer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.kept[key] == a {
		delete(c.kept, key)
	}
}

func (c *Client) ask(ctx context.Context, token string) (Console, error) {
	var body struct {
		Console *Console `json:"console"`
	}
	if err := c.get(ctx, &body, "os-console-auth-tokens", token); err != nil {
		return Console{}, err
	}
	if body.Console == nil {
		return Console{}, fmt.Errorf("%w: its answer names no console", ErrUnavailable)
	}
	return *body.Console, nil
}

// Node is the node that an instance runs on: Ironic's nodes are Nova's
// hypervisors. It is "" where Nova does not say.
func (c *Client) Node(ctx context.Context, instance string) (string, error) {
	var body struct {
		Server struct {
			Hypervisor string `json:"OS-EXT-SRV-ATTR:hypervisor_hostname"`
		} `json:"server"`
	}
	err := c.get(ctx, &body, "servers", instance)
	if errors.Is(err, ErrUnknown) {
		return "", nil
	}
	return body.Server.Hypervisor, err
}

// get asks the compute API.
func (c *Client) get(ctx context.Context, into any, path ...string) error {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	select {
	case c.asking <- struct{}{}:
		defer func() { <-c.asking }()
	case <-ctx.Done():
		return fmt.Errorf("%w: too many questions at a time", ErrUnavailable)
	}
	compute, err := c.signIn(ctx)
	if err != nil {
		return err
	}
	for i := range path {
		path[i] = url.PathEscape(path[i])
	}
	_, err = compute.Get(ctx, compute.ServiceURL(path...), into, nil) //nolint:bodyclose // it was read into into
	var (
		odd    gophercloud.ErrUnexpectedResponseCode
		signIn *gophercloud.ErrUnableToReauthenticate
		after  *gophercloud.ErrErrorAfterReauthentication
	)
	if errors.As(err, &after) {
		err = after.ErrOriginal
	}
	switch {
	case err == nil:
		return nil
	case errors.As(err, &signIn):
		c.signOut(compute)
		return signInError(signIn.ErrReauth)
	case errors.As(err, &odd) && odd.Actual == http.StatusNotFound && strings.Contains(string(odd.Body), "itemNotFound"):
		return ErrUnknown
	case errors.As(err, &odd) && (odd.Actual == http.StatusUnauthorized || odd.Actual == http.StatusForbidden):
		c.signOut(compute)
		return fmt.Errorf("%w: Nova answers %d: it needs the role admin", ErrDenied, odd.Actual)
	case errors.As(err, &odd):
		return fmt.Errorf("%w: the compute API answers %d", ErrUnavailable, odd.Actual)
	}
	return fmt.Errorf("%w: %s", ErrUnavailable, plain(err, path[len(path)-1]))
}

// plain is an error's text without the address, in which the token stands, and
// without the token in whatever else.
func plain(err error, token string) string {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	return strings.ReplaceAll(err.Error(), token, "(token)")
}

// signInError says in words why Keystone gave no token.
func signInError(err error) error {
	var odd gophercloud.ErrUnexpectedResponseCode
	var u *url.Error
	switch {
	case errors.As(err, &odd) && (odd.Actual == http.StatusUnauthorized || odd.Actual == http.StatusForbidden):
		return fmt.Errorf("%w: Keystone answers %d: check nova's names and the file with the secret", ErrDenied, odd.Actual)
	case errors.As(err, &odd):
		return fmt.Errorf("%w: Keystone answers %d: check nova.auth_url", ErrUnavailable, odd.Actual)
	case errors.As(err, &u):
		err = u.Err
	}
	return fmt.Errorf("%w: Keystone: %w", ErrUnavailable, err)
}

// signOut has the next question sign in anew.
func (c *Client) signOut(compute *gophercloud.ServiceClient) {
	c.signing.Lock()
	defer c.signing.Unlock()
	if c.compute == compute {
		c.compute = nil
	}
}

// signIn returns the compute API, which signs in again by itself when
// Keystone's token has expired.
func (c *Client) signIn(ctx context.Context) (*gophercloud.ServiceClient, error) {
	c.signing.Lock()
	defer c.signing.Unlock()
	if c.compute != nil {
		return c.compute, nil
	}
	o, err := c.options()
	if err != nil {
		return nil, err
	}
	provider, err := openstack.NewClient(o.IdentityEndpoint)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	provider.HTTPClient = *c.cfg.HTTP
	if err := openstack.Authenticate(ctx, provider, o); err != nil {
		return nil, signInError(err)
	}
	compute := &gophercloud.ServiceClient{ProviderClient: provider, Endpoint: strings.TrimSuffix(c.cfg.Endpoint, "/") + "/", Type: "compute"}
	if c.cfg.Endpoint == "" {
		compute, err = openstack.NewComputeV2(provider, gophercloud.EndpointOpts{
			Region: c.cfg.Region, Availability: gophercloud.Availability(c.cfg.Interface),
		})
		if err != nil {
			return nil, fmt.Errorf("%w: Keystone's catalogue: %w: check nova.region and nova.interface, or set nova.endpoint", ErrUnavailable, err)
		}
	}
	compute.Microversion = microversion
	c.compute = compute
	return compute, nil
}

// options are what Keystone is asked with.
func (c *Client) options() (gophercloud.AuthOptions, error) {
	secret, err := ReadSecret(c.cfg.SecretFile)
	if err != nil {
		return gophercloud.AuthOptions{}, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	o := gophercloud.AuthOptions{IdentityEndpoint: c.cfg.AuthURL, AllowReauth: true}
	if c.cfg.ApplicationCredentialID != "" {
		o.ApplicationCredentialID, o.ApplicationCredentialSecret = c.cfg.ApplicationCredentialID, secret
		return o, nil
	}
	o.Username, o.Password, o.DomainName = c.cfg.Username, secret, c.cfg.UserDomain
	o.Scope = &gophercloud.AuthScope{ProjectName: c.cfg.Project, DomainName: c.cfg.ProjectDomain}
	return o, nil
}

// ReadSecret reads the first line of a file. The error never holds what is in
// the file.
func ReadSecret(name string) (string, error) {
	st, err := os.Stat(name)
	if err == nil && st.Size() > maxSecretFile {
		err = fmt.Errorf("it is longer than %d bytes", maxSecretFile)
	}
	var text []byte
	if err == nil {
		text, err = os.ReadFile(name)
	}
	if err != nil {
		return "", fmt.Errorf("the secret for OpenStack cannot be read from %s: %w", name, err)
	}
	line, _, _ := strings.Cut(string(text), "\n")
	if line = strings.TrimSpace(line); line == "" {
		return "", fmt.Errorf("%s holds no secret for OpenStack: put it in the first line", name)
	}
	return line, nil
}
