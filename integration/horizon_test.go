package integration

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/ironglass/ironglass/proxy/nova"
	"github.com/ironglass/ironglass/proxy/nova/novatest"
)

// novaToken is one of the form that Nova gives out.
const novaToken = "16fe4dd5-339a-401d-a8de-81fb752af89f"

// horizon serves pages that show an address in a frame, as Horizon does, and
// returns what to open for one; its host is another site than the service's.
func horizon(t *testing.T) (origin string, framing func(address string) string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = fmt.Fprintf(w, `<!doctype html><title>Console</title><iframe id="console" width="1300" height="900" src="%s"></iframe>`,
			strings.ReplaceAll(r.URL.Query().Get("console"), "&", "&amp;"))
	}))
	t.Cleanup(server.Close)
	origin = strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
	return origin, func(address string) string {
		return origin + "/?console=" + strings.NewReplacer("%", "%25", "&", "%26", "?", "%3F", "=", "%3D").Replace(address)
	}
}

// frame waits for the frame in the page whose address begins so, which is a
// process of the browser's own.
func (p *tab) frame(t testing.TB, prefix string) *tab {
	t.Helper()
	var inner *tab
	eventually(t, "a frame at "+prefix, func() error {
		targets, err := chromedp.Targets(p.ctx)
		if err != nil {
			return err
		}
		var seen []string
		for _, target := range targets {
			seen = append(seen, target.Type+" "+target.URL)
			if target.Type == "iframe" && strings.HasPrefix(target.URL, prefix) {
				ctx, cancel := chromedp.NewContext(p.ctx, chromedp.WithTargetID(target.TargetID))
				t.Cleanup(cancel)
				inner = &tab{ctx: ctx}
				return chromedp.Do(ctx) // the first use binds the frame's life to the context
			}
		}
		return fmt.Errorf("there are %v", seen)
	})
	return inner
}

// startCloud starts what plays Keystone and Nova, and returns it with the
// lines of the configuration for it.
func startCloud(t *testing.T, dir string) (*novatest.Cloud, string) {
	t.Helper()
	cloud := novatest.New()
	server := httptest.NewServer(cloud)
	t.Cleanup(server.Close)
	file := filepath.Join(dir, "nova-password")
	if err := os.WriteFile(file, []byte(novatest.Password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return cloud, fmt.Sprintf("nova: {auth_url: %s/v3, username: %s, password_file: %s, project: %s}\n",
		server.URL, novatest.User, file, novatest.Project)
}

// TestInNovncproxysPlace: with the service at novncproxy_base_url a browser
// sees the node by the address that Nova gives out, by itself and in Horizon's
// frame, which takes neither a cookie nor the service's own token.
func TestInNovncproxysPlace(t *testing.T) {
	n := pictureNode(t, "metal", screenSize)
	s := newService(t, n)
	cloud, asking := startCloud(t, s.dir)
	origin, framing := horizon(t)
	s.more = asking + fmt.Sprintf("rfb: {listen: %s, ports: 15900-15903}\nframe_ancestors: [%s]\n", ownHost(), origin)
	s.configure(t, freeAddress(t))
	s.start(t)
	host, text := s.rfbPort(t)
	port, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	cloud.Give(novaToken, nova.Console{Instance: "8d1f4a52-6b39-4d3c-9f0e-0d8f7a1b2c3d", Host: host, Port: port})

	// novncproxy_base_url and what Nova adds to it; Horizon adds the title.
	page := s.url + "/vnc_auto.html?path=%3Ftoken%3D" + novaToken
	direct := newTab(t)
	direct.goTo(t, page)
	direct.awaitState(t, "connected")
	n.shown(t)
	direct.showsExactly(t, n)

	outer := newTab(t)
	outer.goTo(t, framing(page+"&title=metal(8d1f4a52-6b39-4d3c-9f0e-0d8f7a1b2c3d)"))
	inner := outer.frame(t, s.url)
	inner.awaitState(t, "connected")
	for _, command := range []string{"draw 5", "scroll 16", "bustle 50"} {
		n.tell(t, command)
		inner.showsExactly(t, n)
	}
	if title, err := evaluate[string](inner, "document.title"); err != nil || !strings.HasPrefix(title, "metal(8d1f4a52-") {
		t.Errorf("the frame's title is %q, %v", title, err)
	}
	if cookies, err := evaluate[string](inner, "document.cookie"); err != nil || cookies != "" {
		t.Errorf("the frame has the cookies %q, %v", cookies, err)
	}

	// A site that is not listed may not show it.
	_, foreign := horizon(t)
	stranger := newTab(t)
	stranger.goTo(t, foreign(page+"&title=stranger"))
	refused := stranger.frame(t, page+"&title=stranger")
	eventually(t, "the browser to refuse the frame", func() error {
		at, err := evaluate[string](refused, "location.href")
		if err == nil && !strings.HasPrefix(at, "chrome-error:") {
			err = fmt.Errorf("it shows %s", at)
		}
		return err
	})
	if viewers, err := s.viewers(t); err != nil || viewers != 2 {
		t.Errorf("there are %d viewers, %v", viewers, err)
	}

	// What is wrong is said on the page.
	for _, c := range []struct {
		token  string
		status int
		want   string
	}{
		{strings.Replace(novaToken, "1", "2", 1), 0, "This link has expired"},
		{strings.Replace(novaToken, "1", "3", 1), http.StatusServiceUnavailable, "OpenStack does not answer"},
	} {
		cloud.Break(c.status)
		bad := newTab(t)
		bad.goTo(t, s.url+"/vnc_auto.html?path=%3Ftoken%3D"+c.token)
		eventually(t, "the page to say "+c.want, func() error {
			ctx, cancel := context.WithTimeout(bad.ctx, patience)
			defer cancel()
			text, err := chromedp.Run(ctx, chromedp.Evaluate[string]("document.body.innerText"))
			if err == nil && !strings.Contains(text, c.want) {
				err = fmt.Errorf("it reads %q", text)
			}
			return err
		})
	}
	if out := s.output.String(); strings.Contains(out, novaToken) || strings.Contains(out, novatest.Password) {
		t.Errorf("a secret is in the log:\n%s", out)
	}
}
