package web

import (
	"bytes"
	"errors"
	"html/template"
	"io/fs"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// files returns what is served. Without noVNC there is nothing to test; where
// everything must be there, that is a failure.
func files(t *testing.T) fs.FS {
	t.Helper()
	f, err := Files()
	if err != nil && os.Getenv("CI") == "" && errors.Is(err, ErrIncomplete) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func read(t *testing.T, f fs.FS, name string) string {
	t.Helper()
	b, err := fs.ReadFile(f, name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// ours lists the project's own files, without noVNC's.
func ours(t *testing.T, f fs.FS) (names []string) {
	t.Helper()
	err := fs.WalkDir(f, ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && name == "novnc" {
			return fs.SkipDir
		}
		if err == nil && !d.IsDir() {
			names = append(names, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

var (
	attribute = regexp.MustCompile(`\b(?:href|src|action)="([^"]*)"`)
	importing = regexp.MustCompile(`(?m)^(?:(?:import|export)\s[\w\s{},*$]*\bfrom\s*|import\s*)["']([^"']+)["']`)
	cssURL    = regexp.MustCompile(`url\(([^)]*)\)|@import`)
)

// modules is every module that the given one loads, itself included.
func modules(t *testing.T, f fs.FS, name string) map[string]bool {
	t.Helper()
	seen := map[string]bool{}
	var walk func(name string)
	walk = func(name string) {
		if seen[name] {
			return
		}
		seen[name] = true
		for _, m := range importing.FindAllStringSubmatch(read(t, f, name), -1) {
			if !strings.HasPrefix(m[1], ".") {
				t.Errorf("%s imports %q, which a browser cannot resolve", name, m[1])
				continue
			}
			walk(path.Join(path.Dir(name), m[1]))
		}
	}
	walk(name)
	return seen
}

// All that a page refers to must be there, by a relative address: the service
// may stand below a path of another server.
func TestReferencesResolve(t *testing.T) {
	f := files(t)
	for _, name := range ours(t, f) {
		switch path.Ext(name) {
		case ".html":
			for _, m := range attribute.FindAllStringSubmatch(read(t, f, name), -1) {
				if m[1] == "./" {
					continue // the fleet page
				}
				if strings.HasPrefix(m[1], "/") || strings.Contains(m[1], "..") {
					t.Errorf("%s refers to %q, which is not relative to the page", name, m[1])
				}
				if _, err := fs.Stat(f, m[1]); err != nil {
					t.Errorf("%s refers to %q, which is not there", name, m[1])
				}
			}
		case ".js":
			modules(t, f, name)
		case ".css":
			if m := cssURL.FindString(read(t, f, name)); m != "" {
				t.Errorf("%s loads %s", name, m)
			}
		}
	}
}

// The console page names all its modules at once, so that a browser does not
// find them one round trip after the other.
func TestConsolePreloadsItsModules(t *testing.T) {
	f := files(t)
	want := slices.Sorted(maps.Keys(modules(t, f, "js/console.js")))
	got := []string{"js/console.js"}
	for _, m := range regexp.MustCompile(`rel="modulepreload" href="([^"]*)"`).FindAllStringSubmatch(read(t, f, "console.html"), -1) {
		got = append(got, m[1])
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("console.html preloads\n%s\nbut its modules are\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// No page may load anything from elsewhere.
func TestNothingExternal(t *testing.T) {
	f := files(t)
	address := regexp.MustCompile(`(?i)(?:https?:|wss?:)?//[a-z0-9][a-z0-9.-]*[a-z0-9]`)
	comment := regexp.MustCompile(`(?m)^\s*//.*$|\s//\s.*$`)
	for _, name := range ours(t, f) {
		text := strings.ReplaceAll(read(t, f, name), `xmlns="http://www.w3.org/2000/svg"`, "")
		if path.Ext(name) == ".js" {
			text = comment.ReplaceAllString(text, "")
		}
		if m := address.FindString(text); m != "" {
			t.Errorf("%s has the address %s", name, m)
		}
	}
}

// The pages must work under ContentSecurityPolicy: no script or style inside
// of them.
func TestNothingInline(t *testing.T) {
	f := files(t)
	inline := regexp.MustCompile(`(?i)<style|\sstyle=|\son[a-z]+="|["']javascript:|<script[^>]*>[^<]`)
	for _, name := range ours(t, f) {
		switch path.Ext(name) {
		case ".html", ".svg":
			if m := inline.FindString(read(t, f, name)); m != "" {
				t.Errorf("%s has %q in it", name, m)
			}
		case ".js":
			if m := regexp.MustCompile(`\binnerHTML\b|\bouterHTML\b|insertAdjacentHTML|document\.write|\beval\(|new Function|setAttribute\("style"`).FindString(read(t, f, name)); m != "" {
				t.Errorf("%s uses %s", name, m)
			}
		}
	}
}

// What the scripts look up by its id or class must be in their page.
func TestElementsExist(t *testing.T) {
	f := files(t)
	for page, script := range map[string]string{"index.html": "js/fleet.js", "console.html": "js/console.js", "replay.html": "js/replay.js"} {
		html := read(t, f, page)
		for name := range modules(t, f, script) {
			if !strings.HasPrefix(name, "js/") {
				continue
			}
			text := read(t, f, name)
			for _, m := range regexp.MustCompile(`(?:\$|document\.getElementById)\("([^"]+)"\)|act\("([^"]+)"|"(fact-[a-z]+)"`).FindAllStringSubmatch(text, -1) {
				if id := m[1] + m[2] + m[3]; !strings.Contains(html, `id="`+id+`"`) {
					t.Errorf("%s looks for #%s, which %s does not have", name, id, page)
				}
			}
			for _, m := range regexp.MustCompile(`(?:part|text|hide|label)\("\.([^"]+)"`).FindAllStringSubmatch(text, -1) {
				if !regexp.MustCompile(`class="[^"]*\b` + m[1] + `\b`).MatchString(html) {
					t.Errorf("%s looks for .%s, which %s does not have", name, m[1], page)
				}
			}
		}
	}
}

func TestErrorPage(t *testing.T) {
	page, err := template.New("error.html").Parse(read(t, files(t), "error.html"))
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	err = page.Execute(&b, struct {
		Status        int
		Title, Detail string
	}{403, "Forbidden <b>", "The token <script> has expired."})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"403", "Forbidden &lt;b&gt;", `<p id="detail">The token &lt;script&gt; has expired.</p>`} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the page does not say %q", want)
		}
	}
}

func TestWithoutNoVNC(t *testing.T) {
	err := complete(fstest.MapFS{"index.html": &fstest.MapFile{}})
	if !errors.Is(err, ErrIncomplete) || !strings.Contains(err.Error(), "make web") {
		t.Errorf("the error is %q", err)
	}
}

// js/screen.js hangs on to inner methods of noVNC.
func TestNoVNCHasWhatWeWatch(t *testing.T) {
	f := files(t)
	rfb := read(t, f, "novnc/core/rfb.js")
	for _, m := range regexp.MustCompile(`super\.(_\w+)\(`).FindAllStringSubmatch(read(t, f, "js/screen.js"), -1) {
		if !strings.Contains(rfb, "\n    "+m[1]+"() {") {
			t.Errorf("noVNC has no method %s any more", m[1])
		}
	}
	for _, c := range []struct{ file, text, what string }{
		{"novnc/core/display.js", "\n    flush() {", "Display has no method flush"},
		{"novnc/core/websock.js", "\n    rQpeekBytes(len", "Websock has no method rQpeekBytes"},
		{"novnc/core/rfb.js", "this._supportsFence = true;", "RFB does not note that there are fences"},
		{"novnc/core/rfb.js", "\n    clientFence(sock, flags, payload) {", "RFB.messages has no clientFence"},
		{"novnc/core/rfb.js", "if (!(flags & (1<<31))) {", "RFB takes answers to fences"},
	} {
		if !strings.Contains(read(t, f, c.file), c.text) {
			t.Errorf("noVNC's %s any more", c.what)
		}
	}
	for _, name := range []string{"novnc/LICENSE.txt", "novnc/AUTHORS", "novnc/docs/LICENSE.MPL-2.0", "novnc/vendor/pako/LICENSE"} {
		if _, err := fs.Stat(f, name); err != nil {
			t.Errorf("noVNC's licence is not served with it: %v", err)
		}
	}
}

// The lock file must work with any registry, and pin what package.json names.
func TestLockFile(t *testing.T) {
	lock, err := os.ReadFile("package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(lock, []byte(`"resolved"`)) {
		t.Error("package-lock.json names a registry; make it anew with the settings of .npmrc")
	}
	want, err := os.ReadFile("package.json")
	if err != nil {
		t.Fatal(err)
	}
	version := regexp.MustCompile(`"@novnc/novnc": "(\d+\.\d+\.\d+)"`).FindSubmatch(want)
	if version == nil {
		t.Fatal("package.json does not pin noVNC's version")
	}
	if !bytes.Contains(lock, append([]byte(`"version": "`), append(version[1], '"')...)) {
		t.Errorf("package-lock.json has another noVNC than %s", version[1])
	}
}
