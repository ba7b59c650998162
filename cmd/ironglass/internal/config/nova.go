package config

import (
	"net/url"
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/ironglass/ironglass/proxy/nova"
)

// Nova is how tokens are checked that Nova gave out.
type Nova struct {
	// Client is where Nova is, and what to sign in with.
	Client nova.Config
	// CA is a PEM file with the authorities to trust; "" is the system's.
	CA string
	// Hosts are what Nova calls the host of the nodes' RFB ports.
	Hosts []string
	// EnforceSessionTimeout ends sessions with their token's time.
	EnforceSessionTimeout bool
}

// nova reads how tokens are checked that Nova gave out.
func (d *document) nova(path string, n *yaml.Node, c *Config) {
	v := &Nova{Client: nova.Config{UserDomain: "Default", ProjectDomain: "Default"}}
	k := &v.Client
	text := func(into *string) func(string, *yaml.Node) {
		return func(path string, n *yaml.Node) { d.text(path, n, into) }
	}
	address := func(into *string) func(string, *yaml.Node) {
		return func(path string, n *yaml.Node) {
			if !d.text(path, n, into) {
				return
			}
			if u, err := url.Parse(*into); err != nil || !web(u) {
				d.fail(n, "%s: %q is not a URL: write it as in https://keystone.example.net/v3", path, *into)
			}
		}
	}
	var password, secret string
	file := func(into *string) func(string, *yaml.Node) {
		return func(path string, n *yaml.Node) {
			before := len(d.found)
			if d.file(path, n, into); len(d.found) == before {
				_, err := nova.ReadSecret(*into)
				d.check(path, n, err)
			}
		}
	}
	before := len(d.found)
	d.mapping(path, n, []key{
		{name: "auth_url", read: address(&k.AuthURL)},
		{name: "ca", read: func(path string, n *yaml.Node) { d.file(path, n, &v.CA) }},
		{name: "application_credential_id", read: text(&k.ApplicationCredentialID)},
		{name: "application_credential_secret_file", read: file(&secret)},
		{name: "username", read: text(&k.Username)},
		{name: "password_file", read: file(&password)},
		{name: "project", read: text(&k.Project)},
		{name: "user_domain", read: text(&k.UserDomain)},
		{name: "project_domain", read: text(&k.ProjectDomain)},
		{name: "region", read: text(&k.Region)},
		{name: "interface", read: func(path string, n *yaml.Node) {
			if d.text(path, n, &k.Interface) && !slices.Contains([]string{"public", "internal", "admin"}, k.Interface) {
				d.fail(n, "%s: %q is none of public, internal and admin", path, k.Interface)
			}
		}},
		{name: "endpoint", read: address(&k.Endpoint)},
		{name: "hosts", read: func(path string, n *yaml.Node) { d.texts(path, n, `["192.0.2.1"]`, &v.Hosts) }},
		{name: "enforce_session_timeout", read: func(path string, n *yaml.Node) { d.flag(path, n, &v.EnforceSessionTimeout) }},
	})
	if len(d.found) > before {
		return
	}
	credential := k.ApplicationCredentialID != "" && secret != ""
	named := k.Username != "" && password != "" && k.Project != ""
	switch {
	case k.AuthURL == "":
		d.fail(n, "%s needs auth_url, which is Keystone's address, as in https://keystone.example.net/v3", path)
	case credential == named || (k.ApplicationCredentialID+secret != "") == (k.Username+password+k.Project != ""):
		d.fail(n, "%s needs either application_credential_id with application_credential_secret_file, or username with password_file and project", path)
	}
	k.SecretFile = secret + password
	c.Nova = v
}
