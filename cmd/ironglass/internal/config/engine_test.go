package config_test

import (
	"strings"
	"testing"

	"github.com/ironglass/ironglass/cmd/ironglass/internal/config"
)

func TestEngine(t *testing.T) {
	files(t, map[string]string{
		"token":     credential + "\n",
		"all.yaml":  "server: https://console.example.net\ntoken_file: token\ncert: token\nkey: token\nstate_dir: /srv/engine\n",
		"some.yaml": "server: http://127.0.0.1:6080\n",
		"bad.yaml":  "server: console\ntoken_file: nowhere\nstate_dir: here\nhome: x\n",
		"none.yaml": "",
	})
	e, err := config.LoadEngine("all.yaml")
	if err != nil || *e != (config.Engine{Server: "https://console.example.net", TokenFile: "token", Cert: "token", Key: "token", StateDir: "/srv/engine"}) {
		t.Errorf("%+v, %v", e, err)
	}
	if e, err = config.LoadEngine("some.yaml"); err != nil || e.StateDir != config.DefaultEngineStateDir {
		t.Errorf("%+v, %v", e, err)
	}
	_, err = config.LoadEngine("bad.yaml")
	for _, want := range []string{"bad.yaml:1: server: ", "bad.yaml:2: token_file: there is no file nowhere", "state_dir: here is to begin with a slash", `bad.yaml:4: the file: unknown key "home"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
	for _, name := range []string{"none.yaml", "nowhere.yaml"} {
		if _, err := config.LoadEngine(name); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
