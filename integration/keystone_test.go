package integration

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// identityService is a stock Keystone on SQLite.
type identityService struct {
	url, dir string // url ends with /v3
	address  string
	program  *program
	admin    string // a token for the whole system
}

const keystonePassword = "a password of Keystone's"

func startKeystone(t *testing.T) *identityService {
	t.Helper()
	need(t, "keystone-manage", "keystone-wsgi-public", "sqlite3")
	k := &identityService{dir: shortDir(t), address: freeAddress(t)}
	k.url = "http://" + k.address + "/v3"
	for _, sub := range []string{"fernet", "credential"} {
		if err := os.Mkdir(filepath.Join(k.dir, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	conf := fmt.Sprintf(`[database]
connection = sqlite:///%[1]s/keystone.db
sqlite_synchronous = false
[fernet_tokens]
key_repository = %[1]s/fernet
[fernet_receipts]
key_repository = %[1]s/fernet
[credential]
key_repository = %[1]s/credential
[oslo_policy]
enforce_new_defaults = true
enforce_scope = true
[identity]
password_hash_rounds = 4
`, k.dir)
	if err := os.WriteFile(filepath.Join(k.dir, "keystone.conf"), []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	k.manage(t, "db_sync")
	// Keystone reads on one connection while it writes on another.
	run(t, k.environment(), "sqlite3", k.dir+"/keystone.db", "PRAGMA journal_mode = WAL")
	k.manage(t, "fernet_setup", "--keystone-user", "root", "--keystone-group", "root")
	k.manage(t, "bootstrap", "--bootstrap-password", keystonePassword, "--bootstrap-public-url", k.url)
	k.start(t)
	k.admin = k.token(t, password("admin", `"system": {"all": true}`))
	return k
}

func (k *identityService) environment() []string {
	return append(os.Environ(), "HOME="+k.dir, "TMPDIR="+k.dir, "OS_KEYSTONE_CONFIG_FILES="+k.dir+"/keystone.conf")
}

func (k *identityService) manage(t *testing.T, args ...string) {
	t.Helper()
	run(t, k.environment(), "keystone-manage", append([]string{"--config-file", k.dir + "/keystone.conf"}, args...)...)
}

func (k *identityService) start(t *testing.T) {
	t.Helper()
	host, port, err := net.SplitHostPort(k.address)
	if err != nil {
		t.Fatal(err)
	}
	k.program = startProgram(t, k.environment(), "keystone-wsgi-public", "--host", host, "--port", port)
	listening(t, k.address)
}

// call makes a call of Keystone's API as its administrator.
func (k *identityService) call(t *testing.T, method, path, body string, into any) http.Header {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, k.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if k.admin != "" {
		r.Header.Set("X-Auth-Token", k.admin)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode >= 300 {
		t.Fatalf("%s %s: %s, %v: %s", method, path, resp.Status, err, answer)
	}
	if into != nil {
		if err := json.Unmarshal(answer, into); err != nil {
			t.Fatal(err)
		}
	}
	return resp.Header
}

// password is a request for a token.
func password(user, scope string) string {
	return fmt.Sprintf(`{"auth": {"identity": {"methods": ["password"], "password": {"user":
		{"name": %q, "domain": {"name": "Default"}, "password": %q}}}, "scope": {%s}}}`, user, keystonePassword, scope)
}

// forProject is the scope of a project.
func forProject(id string) string { return fmt.Sprintf(`"project": {"id": %q}`, id) }

// token gets a token.
func (k *identityService) token(t *testing.T, request string) string {
	t.Helper()
	return k.call(t, http.MethodPost, "/auth/tokens", request, nil).Get("X-Subject-Token")
}

// make makes a thing and returns its ID.
func (k *identityService) make(t *testing.T, kind, plural, more string) string {
	t.Helper()
	var answer map[string]struct{ ID string }
	k.call(t, http.MethodPost, "/"+plural, fmt.Sprintf(`{%q: {%s}}`, kind, more), &answer)
	return answer[kind].ID
}

// user makes a user with a role in a project, or, where that is empty, in the
// system.
func (k *identityService) user(t *testing.T, name, role, project string) string {
	t.Helper()
	id := k.make(t, "user", "users", fmt.Sprintf(`"name": %q, "domain_id": "default", "password": %q`, name, keystonePassword))
	var found struct{ Roles []struct{ ID string } }
	k.call(t, http.MethodGet, "/roles?name="+role, "", &found)
	path := "/system"
	if project != "" {
		path = "/projects/" + project
	}
	k.call(t, http.MethodPut, path+"/users/"+id+"/roles/"+found.Roles[0].ID, "", nil)
	return id
}

// as makes a call with a token of Keystone's.
func (s *service) as(t *testing.T, token, method, path, body string) (int, []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	r.Header.Set("X-Auth-Token", token)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, answer
}

// TestKeystone: who may do what is told by tokens of a stock Keystone, checked
// with themselves and with a credential of the service's own.
func TestKeystone(t *testing.T) {
	leavesNothing(t)
	k := startKeystone(t)
	project := make(map[string]string)
	for _, name := range []string{"owner", "lessee", "stranger", "service"} {
		project[name] = k.make(t, "project", "projects", fmt.Sprintf(`"name": %q, "domain_id": "default"`, name))
	}
	k.make(t, "role", "roles", `"name": "service"`)
	tokens := make(map[string]string)
	for _, u := range []struct{ name, role, project string }{
		{"system-reader", "reader", ""}, {"system-member", "member", ""},
		{"owner-member", "member", "owner"}, {"owner-reader", "reader", "owner"},
		{"lessee-member", "member", "lessee"}, {"stranger-admin", "admin", "stranger"},
	} {
		k.user(t, u.name, u.role, project[u.project])
		scope := `"system": {"all": true}`
		if u.project != "" {
			scope = forProject(project[u.project])
		}
		tokens[u.name] = k.token(t, password(u.name, scope))
	}
	glass := k.user(t, "glass", "service", project["service"])
	admin := k.admin
	k.admin = k.token(t, password("glass", forProject(project["service"])))
	var credential struct {
		Credential struct{ ID, Secret string } `json:"application_credential"`
	}
	k.call(t, http.MethodPost, "/users/"+glass+"/application_credentials", `{"application_credential": {"name": "ironglass"}}`, &credential)
	k.admin = admin

	outer := t
	s := newService(t)
	secret := filepath.Join(s.dir, "secret")
	if err := os.WriteFile(secret, []byte(credential.Credential.Secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, how := range map[string]string{
		"by themselves":     "lessee: operate",
		"by our credential": fmt.Sprintf("lessee: operate, application_credential_id: %s, application_credential_secret_file: %s", credential.Credential.ID, secret),
	} {
		t.Run(name, func(t *testing.T) {
			yaml := fmt.Sprintf(`listen: %s
state_dir: %s/state
api: {keystone: {auth_url: "%s", cache: 2s, %s}}
nodes:
  - {name: theirs, owner: %s, lessee: %s, console: {rfb: "192.0.2.1:5900"}}
  - {name: ours, console: {rfb: "192.0.2.2:5900"}}
`, strings.TrimPrefix(s.url, "http://"), s.dir, k.url, how, project["owner"], project["lessee"])
			if err := os.WriteFile(s.config(), []byte(yaml), 0o600); err != nil {
				t.Fatal(err)
			}
			s.start(t)
			defer s.stop(t)
			const see, get, post = "/v1/nodes", "/v1/nodes/theirs/console", "/v1/nodes/theirs/console/tokens"
			for _, want := range []struct {
				who                    string
				sees                   string
				get, post, others, own int
			}{
				{"system-reader", "theirs ours", 200, 403, 200, 200},
				{"system-member", "theirs ours", 200, 201, 200, 200},
				{"owner-member", "theirs", 200, 201, 404, 200},
				{"owner-reader", "theirs", 200, 403, 404, 200},
				{"lessee-member", "theirs", 200, 201, 404, 200},
				{"stranger-admin", "", 404, 404, 404, 404},
			} {
				token := tokens[want.who]
				status, body := s.as(t, token, http.MethodGet, see, "")
				var list struct{ Nodes []struct{ Name string } }
				if err := json.Unmarshal(body, &list); err != nil || status != http.StatusOK {
					t.Fatalf("%s: %d, %v: %s", want.who, status, err, body)
				}
				var names []string
				for _, n := range list.Nodes {
					names = append(names, n.Name)
				}
				if strings.Join(names, " ") != want.sees {
					t.Errorf("%s sees %q", want.who, names)
				}
				if status, body := s.as(t, token, http.MethodGet, get, ""); status != want.get {
					t.Errorf("%s: GET %s gives %d: %s", want.who, get, status, body)
				}
				if status, body := s.as(t, token, http.MethodPost, post, "{}"); status != want.post {
					t.Errorf("%s: POST %s gives %d: %s", want.who, post, status, body)
				}
				if status, body := s.as(t, token, http.MethodGet, "/v1/nodes/ours/console", ""); status != want.others {
					t.Errorf("%s: another's node gives %d: %s", want.who, status, body)
				}
				status, body = s.as(t, token, http.MethodGet, "/v1/nodes/theirs/states/console", "")
				if status != want.own || strings.Contains(want.who, "reader") && status == 200 && mode(t, body) != "view" || !strings.Contains(want.who, "reader") && status == 200 && mode(t, body) != "operate" {
					t.Errorf("%s: states/console gives %d: %s", want.who, status, body)
				}
			}
			for _, bad := range []string{"nonsense", tokens["owner-member"] + "x"} {
				if status, body := s.as(t, bad, http.MethodGet, see, ""); status != http.StatusUnauthorized || !strings.Contains(string(body), "credential-wrong") {
					t.Errorf("a token that is none gives %d: %s", status, body)
				}
			}
			if _, err := s.get(t, see, http.StatusUnauthorized); err != nil {
				t.Error(err)
			}

			// One that is revoked counts no more than the cache's two seconds.
			short := k.token(t, password("system-reader", `"system": {"all": true}`))
			if status, body := s.as(t, short, http.MethodGet, see, ""); status != http.StatusOK {
				t.Errorf("a new token gives %d: %s", status, body)
			}
			k.revoke(t, short)
			eventually(t, "the revoked token to be refused", func() error {
				if status, body := s.as(t, short, http.MethodGet, see, ""); status != http.StatusUnauthorized {
					return fmt.Errorf("%d: %s", status, body)
				}
				return nil
			})

			// Keystone goes, and comes back.
			k.program.end(t)
			eventually(t, "Keystone to be missed", func() error {
				status, body := s.as(t, tokens["owner-member"], http.MethodGet, see, "")
				if status != http.StatusServiceUnavailable || !strings.Contains(string(body), `"code":"keystone"`) {
					return fmt.Errorf("%d: %s", status, body)
				}
				return nil
			})
			metrics := string(s.must(t, http.MethodGet, "/metrics", "", http.StatusOK))
			if !strings.Contains(metrics, `ironglass_refused_total{cause="keystone"}`) || strings.Contains(metrics, `ironglass_keystone_checks_total{result="failed"} 0`) {
				t.Error("the metrics do not say that Keystone is gone")
			}
			k.start(outer)
			eventually(t, "Keystone to be asked again", func() error {
				if status, body := s.as(t, tokens["owner-member"], http.MethodGet, see, ""); status != http.StatusOK {
					return fmt.Errorf("%d: %s", status, body)
				}
				return nil
			})
			eventually(t, "the log to say that Keystone was gone", func() error {
				if output := s.output.String(); !strings.Contains(output, "Keystone cannot be asked") || !strings.Contains(output, "Keystone answers again") {
					return errors.New(output)
				}
				return nil
			})
			output := s.output.String()
			secrets := append([]string{credential.Credential.Secret, short, keystonePassword}, tokens["owner-member"], tokens["system-reader"])
			for _, secret := range secrets {
				if strings.Contains(output+metrics, secret) {
					t.Error("a secret was written down")
				}
			}
		})
	}
}

// revoke ends a token.
func (k *identityService) revoke(t *testing.T, token string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, k.url+"/auth/tokens", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Auth-Token", k.admin)
	r.Header.Set("X-Subject-Token", token)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent {
		t.Fatalf("revoking a token: %s", resp.Status)
	}
}

// mode is what the token in the answer of states/console allows. A token is
// signed and not encrypted.
func mode(t *testing.T, body []byte) string {
	t.Helper()
	var answer struct {
		Info struct{ URL string } `json:"console_info"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		t.Fatal(err)
	}
	_, token, _ := strings.Cut(answer.Info.URL, "token=v4.public.")
	signed, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(signed) < 64 {
		t.Fatalf("%v: %q", err, body)
	}
	var claims struct{ Mode string }
	if err := json.Unmarshal(signed[:len(signed)-64], &claims); err != nil {
		t.Fatal(err)
	}
	return claims.Mode
}
