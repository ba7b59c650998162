// Package novatest plays Keystone and Nova's compute API as far as tokens of
// consoles go: signing in by password or application credential (Identity API
// v3), os-console-auth-tokens and what a server says of its node.
package novatest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/ironglass/ironglass/proxy/nova"
)

// What signs in.
const (
	User             = "ironglass"
	Project          = "service"
	Password         = "pa55-for-nova"
	CredentialID     = "0f7b6c1d2e3a4b5c8d9e0f1a2b3c4d5e"
	CredentialSecret = "s3cret-for-nova"
)

// Cloud answers at /v3 and /compute/v2.1. Its methods may be called from any
// goroutine.
type Cloud struct {
	mu       sync.Mutex
	consoles map[string]nova.Console
	nodes    map[string]string // by instance
	sessions map[string]bool   // Keystone's tokens
	down     int               // what everything answers; 0 is as it should be
	signs    int
	asked    int
}

// New is a cloud without consoles.
func New() *Cloud {
	return &Cloud{consoles: make(map[string]nova.Console), nodes: make(map[string]string), sessions: make(map[string]bool)}
}

// Give makes a token open a console.
func (c *Cloud) Give(token string, console nova.Console) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.consoles[token] = console
}

// Expire ends a token.
func (c *Cloud) Expire(token string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.consoles, token)
}

// Place says on which node an instance runs.
func (c *Cloud) Place(instance, node string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nodes[instance] = node
}

// Break has everything answered with a status; 0 is as it should be.
func (c *Cloud) Break(status int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.down = status
}

// SignOut ends all that have signed in.
func (c *Cloud) SignOut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.sessions)
}

// Counts are the sign-ins and the questions about tokens.
func (c *Cloud) Counts() (signs, asked int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.signs, c.asked
}

// ServeHTTP is http.Handler's.
func (c *Cloud) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.down != 0 {
		http.Error(w, "out of order", c.down)
		return
	}
	const tokens, servers = "/compute/v2.1/os-console-auth-tokens/", "/compute/v2.1/servers/"
	switch id, ok := strings.CutPrefix(r.URL.Path, tokens); {
	case r.Method == http.MethodPost && r.URL.Path == "/v3/auth/tokens":
		c.signIn(w, r)
	case !strings.HasPrefix(r.URL.Path, "/compute/"):
		fault(w, http.StatusNotFound, "error", "there is nothing here")
	case !c.sessions[r.Header.Get("X-Auth-Token")]:
		fault(w, http.StatusUnauthorized, "error", "the request you have made requires authentication")
	case ok:
		c.asked++
		console, known := c.consoles[id]
		switch {
		case r.Header.Get("X-OpenStack-Nova-API-Version") < "2.31":
			fault(w, http.StatusBadRequest, "badRequest", "the requested console type details are not accessible")
		case !known:
			fault(w, http.StatusNotFound, "itemNotFound", "token not found")
		default:
			reply(w, http.StatusOK, map[string]any{"console": console})
		}
	case strings.HasPrefix(r.URL.Path, servers):
		id := strings.TrimPrefix(r.URL.Path, servers)
		node, known := c.nodes[id]
		if !known {
			fault(w, http.StatusNotFound, "itemNotFound", "instance could not be found")
			return
		}
		reply(w, http.StatusOK, map[string]any{"server": map[string]any{"id": id, "OS-EXT-SRV-ATTR:hypervisor_hostname": node}})
	default:
		fault(w, http.StatusNotFound, "error", "there is nothing here")
	}
}

func fault(w http.ResponseWriter, status int, name, message string) {
	reply(w, status, map[string]any{name: map[string]any{"code": status, "message": message}})
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

// signIn is POST /v3/auth/tokens.
func (c *Cloud) signIn(w http.ResponseWriter, r *http.Request) {
	type named struct {
		Name   string
		Domain struct{ Name string }
	}
	var body struct {
		Auth struct {
			Identity struct {
				Methods  []string
				Password struct {
					User struct {
						named
						Password string
					}
				}
				ApplicationCredential struct{ ID, Secret string } `json:"application_credential"`
			}
			Scope struct{ Project named }
		}
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		fault(w, http.StatusBadRequest, "error", err.Error())
		return
	}
	id := body.Auth.Identity
	user, project := id.Password.User, body.Auth.Scope.Project
	switch strings.Join(id.Methods, " ") {
	case "password":
		if user.Name != User || user.Password != Password || user.Domain.Name != "Default" || project.Name != Project || project.Domain.Name != "Default" {
			fault(w, http.StatusUnauthorized, "error", "the request you have made requires authentication")
			return
		}
	case "application_credential":
		if id.ApplicationCredential.ID != CredentialID || id.ApplicationCredential.Secret != CredentialSecret {
			fault(w, http.StatusUnauthorized, "error", "the request you have made requires authentication")
			return
		}
	default:
		fault(w, http.StatusBadRequest, "error", "no known method")
		return
	}
	c.signs++
	token := fmt.Sprint("keystone-", c.signs)
	c.sessions[token] = true
	w.Header().Set("X-Subject-Token", token)
	endpoint := func(face, url string) map[string]any {
		return map[string]any{"id": face, "interface": face, "region": "one", "region_id": "one", "url": url}
	}
	here := "http://" + r.Host
	reply(w, http.StatusCreated, map[string]any{"token": map[string]any{
		"methods": id.Methods, "expires_at": time.Now().Add(time.Hour).UTC().Format("2006-01-02T15:04:05.000000Z"),
		"issued_at": time.Now().UTC().Format("2006-01-02T15:04:05.000000Z"),
		"catalog": []any{map[string]any{
			"id": "compute", "type": "compute", "name": "nova",
			"endpoints": []any{endpoint("public", here+"/compute/v2.1"), endpoint("internal", here+"/compute/v2.1")},
		}},
	}})
}
