package config

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/ironglass/ironglass/cmd/ironglass/internal/openstack"
)

// Ironic is a bare-metal service that has the nodes.
type Ironic struct {
	// Endpoints are its API's hosts; empty is the one in Keystone's catalog.
	Endpoints []string
	// Keystone is how to sign in there; nil where Ironic asks for no token.
	Keystone *openstack.Credentials
	// Username and PasswordFile are for HTTP Basic; both are empty without.
	Username, PasswordFile string
	// CA holds the authorities of the API's certificates; "" is the system's.
	CA string
	// Region is that in Keystone's catalog; "" is the only one.
	Region string
	// Interval is the time between two looks; 0 is the default.
	Interval time.Duration
	// Trusted lets driver_info and extra run programs on this machine.
	Trusted bool
}

// Keystone is an identity service whose tokens open the API.
type Keystone struct {
	// URL is its address.
	URL string
	// Credentials are the service's own, with which tokens are checked; nil
	// has each token checked with itself.
	Credentials *openstack.Credentials
	// CA holds the authorities of its certificate; "" is the system's.
	CA string
	// Cache is how long a token that was checked is not checked again; 0 is
	// the default, negative is not at all.
	Cache time.Duration
	// Lessee is what the lessee of a node may do: "view", "operate", or
	// nothing, which is "".
	Lessee string
}

// minInterval is the shortest time between two looks at Ironic's nodes, and
// maxTokenCache the longest that a token is not checked again.
const (
	minInterval   = time.Second
	maxTokenCache = 10 * time.Minute
)

// inventory reads where further nodes are found.
func (d *document) inventory(path string, n *yaml.Node, c *Config) {
	d.mapping(path, n, []key{{name: "ironic", read: func(path string, n *yaml.Node) { d.ironic(path, n, c) }}})
	if c.Ironic == nil && !isNull(n) {
		return // a complaint was made
	}
	if c.Ironic == nil {
		d.fail(n, "%s is empty: write it as in inventory: {ironic: {endpoints: [http://192.0.2.1:6385]}}", path)
	}
}

func (d *document) ironic(path string, n *yaml.Node, c *Config) {
	before := len(d.found)
	i := &Ironic{}
	c.Ironic = i
	var auth *yaml.Node
	d.mapping(path, n, []key{
		{name: "endpoints", read: func(path string, n *yaml.Node) {
			d.texts(path, n, "[http://192.0.2.1:6385]", &i.Endpoints)
			for _, e := range i.Endpoints {
				d.check(path, n, checkService(e))
			}
		}},
		{name: "auth", read: func(path string, n *yaml.Node) {
			auth = n
			d.ironicAuth(path, n, i)
		}},
		{name: "ca", read: func(path string, n *yaml.Node) { d.file(path, n, &i.CA) }},
		{name: "region", read: func(path string, n *yaml.Node) { d.text(path, n, &i.Region) }},
		{name: "interval", read: func(path string, n *yaml.Node) {
			if d.span(path, n, &i.Interval) && i.Interval < minInterval {
				d.fail(n, "%s: %v is too short: %v is the least", path, i.Interval, minInterval)
			}
		}},
		{name: "trusted", read: func(path string, n *yaml.Node) { d.flag(path, n, &i.Trusted) }},
	})
	if len(d.found) > before {
		return
	}
	if len(i.Endpoints) == 0 && i.Keystone == nil {
		d.fail(n, "%s names no API host: set endpoints, as in [http://192.0.2.1:6385], or auth with an auth_url, whose catalog names one", path)
	}
	if i.Region != "" && i.Keystone == nil {
		d.fail(n, "%s.region is one of Keystone's catalog: set auth with an auth_url, or remove it", path)
	}
	if auth != nil && i.Keystone == nil && i.Username == "" {
		d.fail(auth, "%s.auth is empty: set auth_url and a credential, or username and password_file, or remove it", path)
	}
}

// ironicAuth reads a user for HTTP Basic, or how to sign in to Keystone where
// there is an auth_url.
func (d *document) ironicAuth(path string, n *yaml.Node, i *Ironic) {
	before := len(d.found)
	var k openstack.Credentials
	d.mapping(path, n, d.credentials(&k))
	switch {
	case len(d.found) > before:
	case k.AuthURL != "":
		if d.complete(path, n, k) {
			i.Keystone = &k
		}
	case k.CredentialID != "" || k.SecretFile != "" || k.Project != "" || k.UserDomain != "" || k.ProjectDomain != "":
		d.fail(n, "%s.auth_url is missing: name Keystone, as in https://keystone.example.net/v3", path)
	case (k.Username == "") != (k.PasswordFile == ""):
		d.fail(n, "%s: username and password_file go together: set both", path)
	case strings.Contains(k.Username, ":"):
		d.fail(n, "%s.username: HTTP Basic knows no user with a colon in the name", path)
	default:
		i.Username, i.PasswordFile = k.Username, k.PasswordFile
	}
}

// credentials are the keys with which one signs in to Keystone.
func (d *document) credentials(k *openstack.Credentials) []key {
	text := func(into *string) func(string, *yaml.Node) {
		return func(path string, n *yaml.Node) { d.text(path, n, into) }
	}
	file := func(into *string) func(string, *yaml.Node) {
		return func(path string, n *yaml.Node) {
			before := len(d.found)
			d.file(path, n, into)
			if len(d.found) == before {
				_, err := openstack.ReadSecret(*into)
				d.check(path, n, err)
			}
		}
	}
	return []key{
		{name: "auth_url", read: func(path string, n *yaml.Node) {
			if d.text(path, n, &k.AuthURL) {
				d.check(path, n, checkService(k.AuthURL))
			}
		}},
		{name: "application_credential_id", read: text(&k.CredentialID)},
		{name: "application_credential_secret_file", read: file(&k.SecretFile)},
		{name: "username", read: text(&k.Username)},
		{name: "user_domain", read: text(&k.UserDomain)},
		{name: "password_file", read: file(&k.PasswordFile)},
		{name: "project", read: text(&k.Project)},
		{name: "project_domain", read: text(&k.ProjectDomain)},
	}
}

// complete checks that one can sign in with k, and fills in defaults.
func (d *document) complete(path string, n *yaml.Node, k openstack.Credentials) bool {
	application := k.CredentialID != "" || k.SecretFile != ""
	user := k.Username != "" || k.PasswordFile != ""
	switch {
	case application && user:
		d.fail(n, "%s: an application credential and a user cannot go together: keep one", path)
	case application && (k.CredentialID == "" || k.SecretFile == ""):
		d.fail(n, "%s: application_credential_id and application_credential_secret_file go together: set both", path)
	case application && (k.Project != "" || k.ProjectDomain != "" || k.UserDomain != ""):
		d.fail(n, "%s: an application credential is of one project and one user: remove project and the domains", path)
	case !application && (k.Username == "" || k.PasswordFile == ""):
		d.fail(n, "%s has no credential: set application_credential_id and application_credential_secret_file, or username and password_file", path)
	case user && k.UserDomain == "":
		d.fail(n, "%s.user_domain is missing: name the user's domain, as in Default", path)
	case user && (k.Project == "") != (k.ProjectDomain == ""):
		d.fail(n, "%s: project and project_domain go together: set both, or none for the whole system", path)
	default:
		return true
	}
	return false
}

// keystone reads Keystone's address, or a mapping with it.
func (d *document) keystone(path string, n *yaml.Node, c *Config) {
	k := &Keystone{}
	c.Keystone = k
	if n.Kind != yaml.MappingNode {
		if d.text(path, n, &k.URL) {
			d.check(path, n, checkService(k.URL))
		}
		return
	}
	before := len(d.found)
	var own openstack.Credentials
	lessee := ""
	d.mapping(path, n, append(d.credentials(&own),
		key{name: "ca", read: func(path string, n *yaml.Node) { d.file(path, n, &k.CA) }},
		key{name: "cache", read: func(path string, n *yaml.Node) {
			d.duration(path, n, "not at all", &k.Cache)
			if k.Cache > maxTokenCache {
				d.fail(n, "%s: %v is too long for a token that may have been revoked: %v is the most", path, k.Cache, maxTokenCache)
			}
		}},
		key{name: "lessee", read: func(path string, n *yaml.Node) {
			if d.text(path, n, &lessee) && lessee != "none" && lessee != "view" && lessee != "operate" {
				d.fail(n, "%s: %.40q is not known: write none, view or operate", path, lessee)
			}
		}},
	))
	if len(d.found) > before {
		return
	}
	k.URL = own.AuthURL
	if lessee != "none" {
		k.Lessee = lessee
	}
	if k.URL == "" {
		d.fail(n, "%s.auth_url is missing: name Keystone, as in https://keystone.example.net/v3", path)
		return
	}
	if (own != openstack.Credentials{AuthURL: own.AuthURL}) && d.complete(path, n, own) {
		k.Credentials = &own
	}
}

// checkService checks the address of a service of OpenStack's.
func checkService(text string) error {
	u, err := url.Parse(text)
	if err != nil || !web(u) {
		return fmt.Errorf("%.200q is not the address of a service: write it as in http://192.0.2.1:6385, and a user under auth", redacted(text, u))
	}
	return nil
}

// redacted is an address without the password that may be in it.
func redacted(text string, u *url.URL) string {
	if u != nil {
		return u.Redacted()
	}
	if i := strings.LastIndexByte(text, '@'); i >= 0 {
		return "..." + text[i:]
	}
	return text
}
