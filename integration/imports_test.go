package integration

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/ironglass/ironglass"

// allowed says which packages of the module a package may import, itself and
// what lies below it left aside. A package takes the longest entry that is a
// prefix of its path; one without an entry fails the test, so that a new
// package finds its place here first.
var allowed = map[string][]string{
	"rfb/pixel":    {},
	"rfb/direct":   {},
	"rfb/wire":     {"rfb/pixel"},
	"rfb/huffman":  {},
	"rfb/jpeg":     {"rfb/pixel", "rfb/huffman"},
	"rfb/encoding": {"rfb/pixel", "rfb/wire", "rfb/jpeg", "rfb/huffman"},
	"rfb/security": {"rfb/pixel", "rfb/wire"},
	"rfb":          {"rfb/pixel", "rfb/direct", "rfb/wire", "rfb/encoding", "rfb/security"},
	"rfb/fbs":      {"rfb/pixel", "rfb/wire", "rfb/encoding", "rfb/security", "rfb"},
	"rfb/notice":   {"rfb/pixel", "rfb/wire", "rfb"},
	"rfb/rfbtest":  {"rfb/pixel", "rfb/wire", "rfb/encoding", "rfb/security", "rfb"},
	"x11":          {"rfb/pixel", "rfb/direct", "rfb/wire", "rfb/security", "rfb", "rfb/notice"},
	"x11/keysym":   {},
	"ipmi":         {},
	// The proxy declares what it needs of a launcher and imports none.
	"proxy":          {"rfb/pixel", "rfb/wire", "rfb/encoding", "rfb/security", "rfb", "rfb/fbs", "rfb/notice", "x11/keysym"},
	"proxy/nova":     {},
	"proxy/keystone": {},
	"proxy/typing":   {"x11/keysym"},
	"web":            {},
	// What the pages do is tried against a made-up service with a real picture.
	"web/pagetest": {"rfb", "rfb/rfbtest", "web"},
	// A launcher knows RFB only as far as the greeting.
	"launcher":           {"rfb/wire", "rfb/pixel"},
	"launcher/inventory": {"launcher"},
	"launcher/recipe":    {"launcher"},
	"cmd":                {"rfb", "x11", "ipmi", "proxy", "launcher", "web"},
	// The engine is tried against what others wrote, and a session is looked
	// into for what it leaves; all else is tried by its programs.
	"integration": {"rfb", "rfb/encoding", "rfb/fbs", "rfb/pixel", "rfb/rfbtest", "rfb/security", "rfb/wire", "x11", "x11/session", "proxy/nova", "proxy/typing"},
	// What is measured is a program; the X program that draws connects as x11 does.
	"integration/loads":      {"rfb/encoding", "rfb/pixel", "rfb/rfbtest", "rfb/wire"},
	"integration/benchproxy": {"integration/loads"},
	"integration/xload":      {"integration/loads", "rfb/pixel", "x11"},
}

// forbidden says what a program must not contain, by prefix: the supervisor
// runs in every console's container and stays small.
var forbidden = map[string][]string{
	"cmd/ironglass-supervisor": {
		module + "/proxy", module + "/launcher", module + "/web",
		"k8s.io/", "github.com/moby/", "github.com/docker/", "github.com/gophercloud/", "go.yaml.in/yaml", "aidanwoods.dev/",
	},
	"cmd/ironglass": {module + "/x11/xvfb", "github.com/jezek/xgb", "github.com/chromedp/"},
}

// listedPackage is what `go list -json` says of a package.
type listedPackage struct {
	ImportPath                               string
	Name                                     string
	Imports, TestImports, XTestImports, Deps []string
	CgoFiles                                 []string
	Standard                                 bool
}

// TestImports: imports point down only (ARCHITECTURE.md, Packages).
func TestImports(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-json=ImportPath,Name,Imports,TestImports,XTestImports,Deps,CgoFiles,Standard", module+"/...")
	cmd.Env = append(cmd.Environ(), "CGO_ENABLED=0")
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("go list: %v\n%s", err, exit.Stderr)
		}
		t.Fatal(err)
	}
	seen := 0
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listedPackage
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if len(p.CgoFiles) > 0 {
			t.Errorf("%s needs cgo", p.ImportPath)
		}
		path, ours := strings.CutPrefix(p.ImportPath, module+"/")
		if !ours {
			continue
		}
		seen++
		checkDirection(t, path, p)
		for _, unwanted := range forbidden[path] {
			for _, dep := range p.Deps {
				if strings.HasPrefix(dep, unwanted) {
					t.Errorf("%s contains %s", path, dep)
				}
			}
		}
	}
	if seen < 10 {
		t.Errorf("only %d packages were looked at", seen)
	}
}

// layer is the longest entry of allowed that holds the package.
func layer(path string) (string, bool) {
	for {
		if _, ok := allowed[path]; ok {
			return path, true
		}
		i := strings.LastIndexByte(path, '/')
		if i < 0 {
			return "", false
		}
		path = path[:i]
	}
}

// forTests tells whether a package is a suite, a peer or data for tests:
// rfbtest, launchertest and what lies below them.
func forTests(path string) bool {
	return slices.ContainsFunc(strings.Split(path, "/"), func(part string) bool {
		return strings.HasSuffix(part, "test")
	})
}

func checkDirection(t *testing.T, path string, p listedPackage) {
	t.Helper()
	own, ok := layer(path)
	if !ok {
		t.Errorf("%s has no place in the order of packages: give it one in allowed", path)
		return
	}
	imports := slices.Clone(p.Imports)
	// A test may also use the packages that are there for tests.
	for _, i := range slices.Concat(p.TestImports, p.XTestImports) {
		if !forTests(i) {
			imports = append(imports, i)
		}
	}
	for _, i := range imports {
		target, ours := strings.CutPrefix(i, module+"/")
		if !ours {
			continue
		}
		below, ok := layer(target)
		if !ok || below == own || strings.HasPrefix(target, own+"/") && own != "rfb" {
			continue
		}
		if !slices.ContainsFunc(allowed[own], func(a string) bool {
			return below == a || own == "cmd" && strings.HasPrefix(below, a+"/")
		}) {
			t.Errorf("%s imports %s, which is not below it", path, target)
		}
	}
}
