package nova_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/ironglass/ironglass/proxy/nova"
	"github.com/ironglass/ironglass/proxy/nova/novatest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const aToken = "16fe4dd5-339a-401d-a8de-81fb752af89f"

var aConsole = nova.Console{Instance: "8d1f4a52-6b39-4d3c-9f0e-0d8f7a1b2c3d", Host: "192.0.2.1", Port: 15901, Path: "x"}

// begin serves a cloud and returns a client whose configuration change may
// change.
func begin(t *testing.T, change func(*nova.Config)) (*novatest.Cloud, *nova.Client) {
	t.Helper()
	cloud := novatest.New()
	server := httptest.NewServer(cloud)
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(novatest.Password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := nova.Config{
		AuthURL: server.URL + "/v3", Username: novatest.User, Project: novatest.Project,
		UserDomain: "Default", ProjectDomain: "Default", SecretFile: file, HTTP: &http.Client{Transport: &http.Transport{}},
	}
	t.Cleanup(func() {
		cfg.HTTP.CloseIdleConnections()
		server.Close()
	})
	if change != nil {
		change(&cfg)
	}
	return cloud, nova.New(cfg)
}

func TestConsole(t *testing.T) {
	for name, change := range map[string]func(*nova.Config){
		"password": nil,
		"application credential": func(c *nova.Config) {
			if err := os.WriteFile(c.SecretFile, []byte(novatest.CredentialSecret), 0o600); err != nil {
				t.Fatal(err)
			}
			*c = nova.Config{AuthURL: c.AuthURL, ApplicationCredentialID: novatest.CredentialID, SecretFile: c.SecretFile, HTTP: c.HTTP}
		},
		"region": func(c *nova.Config) { c.Region, c.Interface = "one", "internal" },
		"endpoint": func(c *nova.Config) {
			c.Region, c.Endpoint = "nowhere", strings.TrimSuffix(c.AuthURL, "/v3")+"/compute/v2.1"
		},
	} {
		t.Run(name, func(t *testing.T) {
			cloud, client := begin(t, change)
			cloud.Give(aToken, aConsole)
			cloud.Place(aConsole.Instance, "a-node")
			var wg sync.WaitGroup
			for range 20 {
				wg.Go(func() {
					if got, err := client.Console(t.Context(), aToken); got != aConsole || err != nil {
						t.Errorf("the console is %+v, %v", got, err)
					}
				})
			}
			wg.Wait()
			if signs, asked := cloud.Counts(); signs != 1 || asked != 1 {
				t.Errorf("20 at a time make %d sign-ins and %d questions", signs, asked)
			}
			if node, err := client.Node(t.Context(), aConsole.Instance); node != "a-node" || err != nil {
				t.Errorf("the node is %q, %v", node, err)
			}
			cloud.SignOut() // as when Keystone's token has expired
			if _, err := client.Console(t.Context(), strings.Replace(aToken, "1", "2", 1)); !errors.Is(err, nova.ErrUnknown) {
				t.Errorf("after another sign-in the error is %v", err)
			}
			cloud.SignOut()
			if node, err := client.Node(t.Context(), "nobody"); node != "" || err != nil {
				t.Errorf("an instance that is gone is on %q, %v", node, err)
			}
		})
	}
}

func TestErrors(t *testing.T) {
	const other = "36d1b5ad-51bd-4d8b-87cc-935b884bc53a"
	for name, c := range map[string]struct {
		change func(*nova.Config)
		cloud  func(*novatest.Cloud)
		is     error
		want   string
	}{
		"unknown":         {nil, nil, nova.ErrUnknown, "its time is over"},
		"wrong password":  {func(c *nova.Config) { c.Username = "nobody" }, nil, nova.ErrDenied, "Keystone answers 401"},
		"no secret":       {func(c *nova.Config) { c.SecretFile += "x" }, nil, nova.ErrUnavailable, "the secret for OpenStack cannot be read from"},
		"region":          {func(c *nova.Config) { c.Region = "nowhere" }, nil, nova.ErrUnavailable, "check nova.region"},
		"out of order":    {nil, func(c *novatest.Cloud) { c.Break(503) }, nova.ErrUnavailable, "Keystone answers 503"},
		"nobody there":    {func(c *nova.Config) { c.AuthURL = "http://127.0.0.1:1/v3" }, nil, nova.ErrUnavailable, "connection refused"},
		"not Nova":        {func(c *nova.Config) { c.Endpoint = c.AuthURL }, nil, nova.ErrUnavailable, "the compute API answers 404"},
		"nonsense as URL": {func(c *nova.Config) { c.AuthURL = "http://127.0.0.1:1/%zz" }, nil, nova.ErrUnavailable, ""},
	} {
		t.Run(name, func(t *testing.T) {
			cloud, client := begin(t, c.change)
			if c.cloud != nil {
				c.cloud(cloud)
			}
			_, err := client.Console(t.Context(), other)
			if !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("the error is %v", err)
			}
			if err != nil && (strings.Contains(err.Error(), novatest.Password) || strings.Contains(err.Error(), other)) {
				t.Errorf("a secret is in %v", err)
			}
		})
	}
}

// TestMended: what was out of order is asked anew.
func TestMended(t *testing.T) {
	cloud, client := begin(t, nil)
	cloud.Give(aToken, aConsole)
	cloud.Break(502)
	if _, err := client.Console(t.Context(), aToken); !errors.Is(err, nova.ErrUnavailable) {
		t.Errorf("the error is %v", err)
	}
	cloud.Break(0)
	if _, err := client.Console(t.Context(), aToken); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got, err := client.Console(ctx, aToken); err == nil && got != aConsole {
		t.Errorf("without time there is %+v", got)
	}
}

func TestIsToken(t *testing.T) {
	for text, want := range map[string]bool{
		aToken: true, strings.ToUpper(aToken): true, "": false, aToken + "0": false, aToken[1:] + "-": false, strings.ReplaceAll(aToken, "f", "g"): false,
	} {
		if nova.IsToken(text) != want {
			t.Errorf("%q: %v", text, !want)
		}
	}
}
