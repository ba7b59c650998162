// Package ironic reads which nodes there are, and what makes the console of
// each, from OpenStack's bare-metal service, and follows what changes.
package ironic

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/baremetal/httpbasic"
	"github.com/gophercloud/gophercloud/v2/openstack/baremetal/noauth"
	"github.com/gophercloud/gophercloud/v2/openstack/baremetal/v1/nodes"

	"github.com/ironglass/ironglass/launcher/inventory"
)

const (
	// microversion of the API is that with a node's lessee (Ironic 13.1,
	// Ussuri).
	microversion = "1.65"
	// pageSize is how many nodes are asked for at a time, and maxNodes how many
	// are taken altogether.
	pageSize, maxNodes = 500, 200_000
	// DefaultInterval is the time between two looks at the nodes.
	DefaultInterval = time.Minute
	// retryLeast and retryMost bound the time after which a lost API is asked
	// again; it doubles with each failure.
	retryLeast, retryMost = 5 * time.Second, 5 * time.Minute
	// hostTime bounds the reading of all nodes from one API host.
	hostTime = 2 * time.Minute
)

// Config is how the nodes are read.
type Config struct {
	// Endpoints are the API's hosts as URLs, tried one after another, beginning
	// with the one that answered last. It may be empty with Keystone, whose
	// catalog then names one.
	Endpoints []string
	// HTTP makes the calls; it must be set.
	HTTP *http.Client
	// Keystone, if not nil, signs in and returns the client whose token the
	// calls carry. It is called again when that token is refused.
	Keystone func(context.Context) (*gophercloud.ProviderClient, error)
	// Region is the region in Keystone's catalog; "" is the only one.
	Region string
	// Basic, if not nil, returns user and password for HTTP Basic. With neither
	// the calls carry nothing.
	Basic func() (user, password string, err error)
	// Interval is the time between two looks; 0 is DefaultInterval.
	Interval time.Duration
	// Trusted says that whoever may write a node's driver_info or extra may
	// also run programs on this machine and reach its own ports.
	Trusted bool
	// Cache is the file that keeps the last list over a restart, without
	// passwords; "" is none.
	Cache string
	// Log takes what happens; it must be set.
	Log *slog.Logger
}

// Source reads the nodes of one Ironic. Its methods may be called from any
// goroutine, Read and Run by one at a time.
type Source struct {
	cfg      Config
	provider *gophercloud.ProviderClient // nil until Keystone was asked; of Read's goroutine
	last     int                         // the endpoint that answered; of Read's goroutine
	reported map[string]string           // what was said of each node; of Read's goroutine

	mu       sync.Mutex
	status   Status
	failures map[string]uint64
}

// Status is how current the list is.
type Status struct {
	// Cause names in a word what the last reading failed with, Reason in a
	// sentence; both are empty where it did not.
	Cause, Reason string
	// ReadAt is when the list was last read, zero where it never was.
	ReadAt time.Time
	// Nodes and Faulty are how many nodes the list has, and how many of them
	// cannot have a console.
	Nodes, Faulty int
	// Failures counts the readings that failed, by cause.
	Failures map[string]uint64
}

// Causes of a Fault.
const (
	CauseCredential  = "credential"   // 401, or one of our own that cannot be used
	CauseForbidden   = "forbidden"    // 403
	CauseNotFound    = "not-found"    // 404: not Ironic's address
	CauseVersion     = "version"      // 406: too old
	CauseUnavailable = "unavailable"  // 5xx, or too many requests
	CauseUnreachable = "unreachable"  // no answer
	CauseNonsense    = "nonsense"     // an answer that is not Ironic's
	CauseKeystone    = "keystone"     // no token to be had
	CauseCache       = "cache-failed" // only counted: the list could not be kept
)

var causes = []string{
	CauseCredential, CauseForbidden, CauseNotFound, CauseVersion, CauseUnavailable, CauseUnreachable, CauseNonsense,
	CauseKeystone, CauseCache,
}

// Fault is why the nodes could not be read.
type Fault struct {
	// Cause is one of the causes.
	Cause string
	// Reason says in a sentence what happened and what to do. It holds no
	// secret and nothing that the API's answer said.
	Reason string
}

func (e *Fault) Error() string { return e.Reason }

// New returns a source that has read nothing yet.
func New(cfg Config) *Source {
	if cfg.Interval <= 0 {
		cfg.Interval = DefaultInterval
	}
	s := &Source{cfg: cfg, failures: make(map[string]uint64), reported: make(map[string]string)}
	for _, cause := range causes {
		s.failures[cause] = 0
	}
	return s
}

// Status returns how current the list is.
func (s *Source) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.status
	st.Failures = make(map[string]uint64, len(s.failures))
	for cause, n := range s.failures {
		st.Failures[cause] = n
	}
	return st
}

// Read asks the API's hosts in turn for all nodes. Nodes that cannot have a
// console are in the list with a Fault. The error is a *Fault, or ctx's.
func (s *Source) Read(ctx context.Context) ([]inventory.Node, error) {
	list, err := s.read(ctx)
	if ctx.Err() != nil && err != nil {
		return nil, ctx.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.status.Cause
	if err != nil {
		var f *Fault
		if !errors.As(err, &f) {
			f = &Fault{CauseNonsense, err.Error()}
		}
		s.failures[f.Cause]++
		s.status.Cause, s.status.Reason = f.Cause, f.Reason
		if before != f.Cause {
			s.cfg.Log.Error("Ironic's nodes cannot be read: the last list is kept", "cause", f.Cause, "err", f.Reason)
		}
		return nil, f
	}
	if before != "" {
		s.cfg.Log.Info("Ironic's nodes are read again", "nodes", len(list))
	}
	s.status = Status{ReadAt: time.Now(), Nodes: len(list), Faulty: s.report(list)}
	return list, nil
}

// report says once of each node why it has no console, and returns how many
// have none.
func (s *Source) report(list []inventory.Node) (faulty int) {
	seen := make(map[string]string)
	for _, n := range list {
		if n.Fault == "" {
			continue
		}
		faulty++
		seen[n.UUID] = n.Fault
		if s.reported[n.UUID] != n.Fault {
			s.cfg.Log.Warn("a node of Ironic has no console", "node", n.Name, "uuid", n.UUID, "reason", n.Fault)
		}
	}
	s.reported = seen
	return faulty
}

func (s *Source) read(ctx context.Context) ([]inventory.Node, error) {
	hosts := s.cfg.Endpoints
	if len(hosts) == 0 {
		hosts = []string{""} // the catalog's
	}
	var worst error // what an API said tells more than that another is silent
	for i := range hosts {
		at := (s.last + i) % len(hosts)
		list, err := s.readFrom(ctx, hosts[at])
		if err == nil {
			s.last = at
			return list, nil
		}
		if worst == nil || silent(worst) && !silent(err) {
			worst = err
		}
		if ctx.Err() != nil {
			break
		}
		if len(hosts) > 1 {
			s.cfg.Log.Warn("an API host of Ironic does not answer as it should", "endpoint", redacted(hosts[at]), "err", err)
		}
	}
	return nil, worst
}

// silent reports whether the API said nothing.
func silent(err error) bool {
	var f *Fault
	return errors.As(err, &f) && f.Cause == CauseUnreachable
}

// readFrom reads the nodes from one host. A token that was refused is replaced
// once.
func (s *Source) readFrom(ctx context.Context, host string) ([]inventory.Node, error) {
	ctx, cancel := context.WithTimeout(ctx, hostTime)
	defer cancel()
	fresh := s.provider == nil
	list, err := s.readAs(ctx, host)
	var f *Fault
	if errors.As(err, &f) && f.Cause == CauseCredential && s.cfg.Keystone != nil {
		s.provider = nil
		if !fresh {
			return s.readAs(ctx, host)
		}
	}
	return list, err
}

func (s *Source) readAs(ctx context.Context, host string) ([]inventory.Node, error) {
	client, err := s.client(ctx, host)
	if err != nil {
		return nil, err
	}
	client.Microversion = microversion
	var list []inventory.Node
	opts := nodes.ListOpts{
		Limit:  pageSize,
		Fields: []string{"uuid", "name", "owner", "lessee", "maintenance", "driver", "driver_info", "extra"},
	}
	for {
		some, err := readPage(ctx, client, opts)
		if err != nil {
			return nil, explain(client.Endpoint, err)
		}
		if len(some) == 0 {
			return list, nil
		}
		for _, n := range some {
			list = append(list, convert(n, s.cfg.Trusted))
		}
		next := some[len(some)-1].UUID
		if next == opts.Marker || len(list) > maxNodes {
			return nil, &Fault{CauseNonsense, fmt.Sprintf("Ironic at %s has no end of nodes: correct the endpoint.", redacted(client.Endpoint))}
		}
		opts.Marker = next // the answer's own link to the next page may lead elsewhere
	}
}

// errNonsense is an answer of which nothing can be made.
var errNonsense = errors.New("this is not a list of nodes")

// apiNode is what is asked of a node.
type apiNode struct {
	UUID        string         `json:"uuid"`
	Name        string         `json:"name"`
	Owner       string         `json:"owner"`
	Lessee      string         `json:"lessee"`
	Maintenance bool           `json:"maintenance"`
	Driver      string         `json:"driver"`
	DriverInfo  map[string]any `json:"driver_info"`
	Extra       map[string]any `json:"extra"`
}

// readPage reads the nodes after opts.Marker.
func readPage(ctx context.Context, client *gophercloud.ServiceClient, opts nodes.ListOpts) ([]apiNode, error) {
	query, err := opts.ToNodeListQuery()
	if err != nil {
		return nil, err
	}
	var page struct {
		// An answer without it is another service's, not one of no nodes.
		Nodes *[]apiNode `json:"nodes"`
	}
	resp, err := client.Get(ctx, client.ServiceURL("nodes")+query, &page, &gophercloud.RequestOpts{OkCodes: []int{http.StatusOK}})
	if resp != nil {
		_ = resp.Body.Close()
	}
	if err != nil {
		return nil, err
	}
	if page.Nodes == nil {
		return nil, errNonsense
	}
	for _, n := range *page.Nodes {
		if !inventory.IsUUID(n.UUID) {
			return nil, errNonsense
		}
	}
	return *page.Nodes, nil
}

// client returns what speaks with a host; "" is the catalog's.
func (s *Source) client(ctx context.Context, host string) (*gophercloud.ServiceClient, error) {
	var client *gophercloud.ServiceClient
	var err error
	switch {
	case s.cfg.Keystone != nil:
		return s.catalogued(ctx, host)
	case s.cfg.Basic != nil:
		var user, password string
		if user, password, err = s.cfg.Basic(); err != nil {
			return nil, &Fault{CauseCredential, fmt.Sprintf("The password for Ironic cannot be read: %v", err)}
		}
		client, err = httpbasic.NewBareMetalHTTPBasic(httpbasic.EndpointOpts{
			IronicEndpoint: versioned(host), IronicUser: user, IronicUserPassword: password,
		})
	default:
		client, err = noauth.NewBareMetalNoAuth(noauth.EndpointOpts{IronicEndpoint: versioned(host)})
	}
	if err != nil {
		return nil, &Fault{CauseCredential, fmt.Sprintf("Ironic cannot be asked: %v", err)}
	}
	client.HTTPClient = *s.cfg.HTTP
	return client, nil
}

// catalogued returns a client whose calls carry a token of Keystone.
func (s *Source) catalogued(ctx context.Context, host string) (*gophercloud.ServiceClient, error) {
	if s.provider == nil {
		p, err := s.cfg.Keystone(ctx)
		if err != nil {
			return nil, &Fault{CauseKeystone, fmt.Sprintf("Keystone gives no token for Ironic: %v", err)}
		}
		s.provider = p
	}
	if host != "" {
		return &gophercloud.ServiceClient{ProviderClient: s.provider, Endpoint: versioned(host), Type: "baremetal"}, nil
	}
	client, err := openstack.NewBareMetalV1(s.provider, gophercloud.EndpointOpts{Region: s.cfg.Region})
	if err != nil {
		return nil, &Fault{CauseKeystone, "Keystone's catalog names no bare-metal service: set inventory.ironic.endpoints, or correct region."}
	}
	client.Endpoint = versioned(client.Endpoint)
	client.ResourceBase = ""
	return client, nil
}

// versioned is a host's address with the version of its API at the end.
func versioned(host string) string {
	u, err := url.Parse(gophercloud.NormalizeURL(host))
	if err != nil {
		return host
	}
	if n := len(u.Path); n < 4 || u.Path[n-4:] != "/v1/" {
		u.Path += "v1/"
	}
	return u.String()
}

// redacted is an address without what may be secret in it.
func redacted(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return "its address"
	}
	u.User, u.RawQuery = nil, ""
	return u.String()
}

// explain says what an error of a call means.
func explain(endpoint string, err error) error {
	at := redacted(endpoint)
	fault := func(cause, format string, args ...any) error {
		return &Fault{cause, fmt.Sprintf("Ironic at %s "+format, append([]any{at}, args...)...)}
	}
	var status gophercloud.ErrUnexpectedResponseCode
	if errors.As(err, &status) {
		switch code := status.Actual; {
		case code == http.StatusUnauthorized:
			return fault(CauseCredential, "refuses the credential (401): correct inventory.ironic's user and password.")
		case code == http.StatusForbidden:
			return fault(CauseForbidden, "does not let this user list nodes (403): give it the role reader of the system, or admin.")
		case code == http.StatusNotFound:
			return fault(CauseNotFound, "has no nodes under that address (404): correct inventory.ironic.endpoints.")
		case code == http.StatusNotAcceptable:
			return fault(CauseVersion, "is too old (406): version %s of its API is needed, which came with Ironic 13.1.", microversion)
		case code == http.StatusTooManyRequests, code >= 500:
			return fault(CauseUnavailable, "cannot answer now (%d): look at its log.", code)
		default:
			return fault(CauseNonsense, "answers with %d to a request for nodes: correct inventory.ironic.endpoints.", code)
		}
	}
	var call *url.Error
	var network net.Error
	if errors.As(err, &call) {
		return fault(CauseUnreachable, "cannot be reached: %v", call.Err)
	}
	if errors.As(err, &network) || errors.Is(err, context.DeadlineExceeded) {
		return fault(CauseUnreachable, "does not answer in time.")
	}
	return fault(CauseNonsense, "answers with something else than a list of nodes: correct inventory.ironic.endpoints.")
}
