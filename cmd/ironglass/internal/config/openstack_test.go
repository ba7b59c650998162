package config_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ironglass/ironglass/cmd/ironglass/internal/config"
	"github.com/ironglass/ironglass/cmd/ironglass/internal/openstack"
)

func TestOpenStack(t *testing.T) {
	files(t, map[string]string{
		"secret": "hunter2\n", "ca.pem": "x",
		"basic.yaml": `
inventory:
  ironic:
    endpoints: [http://192.0.2.1:6385, "https://ironic.example.net/baremetal"]
    auth: {username: glass, password_file: secret}
    ca: ca.pem
    interval: 90s
    trusted: true
api: {keystone: https://keystone.example.net/v3}
listen: 0.0.0.0:6080
`,
		"keystone.yaml": `
inventory:
  ironic:
    auth: {auth_url: https://keystone.example.net/v3, application_credential_id: id, application_credential_secret_file: secret}
    region: north
api:
  keystone:
    auth_url: https://keystone.example.net/v3
    username: glass
    user_domain: Default
    password_file: secret
    project: service
    project_domain: Default
    ca: ca.pem
    cache: 30s
    lessee: view
`,
	})
	for name, want := range map[string]struct {
		ironic   config.Ironic
		keystone config.Keystone
	}{
		"basic.yaml": {
			config.Ironic{
				Endpoints: []string{"http://192.0.2.1:6385", "https://ironic.example.net/baremetal"},
				Username:  "glass", PasswordFile: "secret", CA: "ca.pem", Interval: 90 * time.Second, Trusted: true,
			},
			config.Keystone{URL: "https://keystone.example.net/v3"},
		},
		"keystone.yaml": {
			config.Ironic{Region: "north", Keystone: &openstack.Credentials{
				AuthURL: "https://keystone.example.net/v3", CredentialID: "id", SecretFile: "secret",
			}},
			config.Keystone{
				URL: "https://keystone.example.net/v3", CA: "ca.pem", Cache: 30 * time.Second, Lessee: "view",
				Credentials: &openstack.Credentials{
					AuthURL: "https://keystone.example.net/v3", Username: "glass", UserDomain: "Default", PasswordFile: "secret",
					Project: "service", ProjectDomain: "Default",
				},
			},
		},
	} {
		c, err := config.Load(name)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(*c.Ironic, want.ironic) || !reflect.DeepEqual(*c.Keystone, want.keystone) || !c.Closed() || len(c.Nodes.Nodes()) != 0 {
			t.Errorf("%s: %+v, %+v", name, c.Ironic, c.Keystone)
		}
	}
}

func TestOpenStackComplaints(t *testing.T) {
	const ironic, keystone = "inventory:\n  ironic:\n", "nodes: []\napi:\n  keystone:\n"
	const endpoint = "    endpoints: [http://h:6385]\n"
	for name, tc := range map[string]struct {
		text string
		want []string
	}{
		"no inventory":      {"inventory:\n", []string{"1: inventory is empty", "1: there are no nodes"}},
		"no host":           {ironic + "    interval: 60s\n", []string{"3: inventory.ironic names no API host"}},
		"not a host":        {ironic + "    endpoints: [h, 'http://u:hunter2@h']\n", []string{`3: inventory.ironic.endpoints: "h" is not the address`, "3: inventory.ironic.endpoints: "}},
		"not a list":        {ironic + "    endpoints: http://h\n", []string{"3: inventory.ironic.endpoints is to be a list"}},
		"interval":          {ironic + endpoint + "    interval: 5ms\n", []string{"4: inventory.ironic.interval: 5ms is too short"}},
		"trusted":           {ironic + endpoint + "    trusted: yes\n", []string{`4: inventory.ironic.trusted: "yes" is neither true nor false`}},
		"no password":       {ironic + endpoint + "    auth: {username: u}\n", []string{"4: inventory.ironic.auth: username and password_file go together"}},
		"password":          {ironic + endpoint + "    auth: {username: u, password: hunter2}\n", []string{`4: inventory.ironic.auth: unknown key "password"`}},
		"colon":             {ironic + endpoint + "    auth: {username: 'u:v', password_file: secret}\n", []string{"4: inventory.ironic.auth.username: "}},
		"empty":             {ironic + endpoint + "    auth: {}\n", []string{"4: inventory.ironic.auth is empty"}},
		"no URL":            {ironic + endpoint + "    auth: {application_credential_id: x}\n", []string{"4: inventory.ironic.auth.auth_url is missing"}},
		"region":            {ironic + endpoint + "    region: north\n", []string{"3: inventory.ironic.region is one of"}},
		"half":              {ironic + "    auth: {auth_url: http://h, application_credential_id: x}\n", []string{"3: inventory.ironic.auth: application_credential_id and"}},
		"both":              {ironic + "    auth: {auth_url: http://h, application_credential_id: x, application_credential_secret_file: secret, username: x}\n", []string{"3: inventory.ironic.auth: an application credential and a user"}},
		"no domain":         {ironic + "    auth: {auth_url: http://h, username: x, password_file: secret}\n", []string{"3: inventory.ironic.auth.user_domain is missing"}},
		"no project domain": {ironic + "    auth: {auth_url: http://h, username: x, user_domain: d, password_file: secret, project: p}\n", []string{"3: inventory.ironic.auth: project and project_domain"}},
		"no credential":     {ironic + "    auth: {auth_url: http://h}\n", []string{"3: inventory.ironic.auth has no credential"}},
		"empty secret":      {ironic + endpoint + "    auth: {username: u, password_file: empty}\n", []string{"4: inventory.ironic.auth.password_file: empty is to hold one line"}},
		"two secrets":       {ironic + endpoint + "    auth: {username: u, password_file: two}\n", []string{"4: inventory.ironic.auth.password_file: two is to hold one line"}},
		"Keystone":          {"nodes: []\napi: {keystone: h}\n", []string{`2: api.keystone: "h" is not the address`}},
		"Keystone's URL":    {keystone + "    lessee: view\n", []string{"4: api.keystone.auth_url is missing"}},
		"lessee":            {keystone + "    auth_url: http://h\n    lessee: all\n", []string{`5: api.keystone.lessee: "all" is not known`}},
		"cache":             {keystone + "    auth_url: http://h\n    cache: 1h\n", []string{"5: api.keystone.cache: 1h0m0s is too long"}},
		"half of Keystone":  {keystone + "    auth_url: http://h\n    username: x\n", []string{"4: api.keystone has no credential"}},
	} {
		t.Run(name, func(t *testing.T) {
			files(t, map[string]string{"c.yaml": tc.text, "secret": "hunter2\n", "empty": "\n", "two": "hunter2\nhunter2\n"})
			_, err := config.Load("c.yaml")
			if err == nil {
				t.Fatal("nothing is wrong with it")
			}
			lines := strings.Split(err.Error(), "\n")
			for i, line := range lines {
				if i >= len(tc.want) || !strings.HasPrefix(line, "c.yaml:"+tc.want[i]) {
					t.Errorf("complaint %d is\n%s\nwant\n%s", i+1, line, tc.want)
				}
			}
			if len(lines) < len(tc.want) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%d complaints: %v", len(lines), err)
			}
		})
	}
}
