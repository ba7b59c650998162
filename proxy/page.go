package proxy

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"mime"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/ironglass/ironglass/proxy/token"
)

// page is the files that browsers load. It does not change.
type page struct {
	files  map[string]file // by path without a leading slash
	errors *template.Template
	policy string
}

// file is one of them.
type file struct {
	content []byte
	kind    string // Content-Type
	tag     string // ETag
}

func newPage(cfg Config) (*page, error) {
	p := &page{files: make(map[string]file), policy: cfg.PagePolicy}
	if len(cfg.FrameAncestors) > 0 {
		p.policy += "; frame-ancestors 'self' " + strings.Join(cfg.FrameAncestors, " ")
	}
	for _, a := range cfg.FrameAncestors {
		if strings.ContainsAny(a, "; ,\r\n\t") || a == "" {
			return nil, fmt.Errorf("the frame ancestor %q is not one origin", a)
		}
	}
	if cfg.Page == nil {
		return nil, errors.New("there are no pages to serve")
	}
	err := fs.WalkDir(cfg.Page, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := fs.ReadFile(cfg.Page, name)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(content)
		p.files[name] = file{
			content: content, kind: contentType(name),
			tag: `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`,
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the pages: %w", err)
	}
	for _, name := range [...]string{"index.html", "console.html", "error.html"} {
		if _, ok := p.files[name]; !ok {
			return nil, fmt.Errorf("the pages lack %s", name)
		}
	}
	p.errors, err = template.New("error.html").Parse(string(p.files["error.html"].content))
	if err != nil {
		return nil, fmt.Errorf("reading the pages: %w", err)
	}
	delete(p.files, "error.html") // a template is nothing to look at
	return p, nil
}

// contentType does not depend on what the machine's own tables say.
func contentType(name string) string {
	switch ext := path.Ext(name); ext {
	case ".js", ".mjs":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".html":
		return "text/html; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	case ".json", ".map":
		return "application/json"
	case ".txt", ".md", "":
		return "text/plain; charset=utf-8"
	default:
		if t := mime.TypeByExtension(ext); t != "" {
			return t
		}
		return "application/octet-stream"
	}
}

// serve answers with one of the files. A browser asks each time whether it is
// still the same, so that a new version of the program shows at once.
func (p *page) serve(w http.ResponseWriter, r *http.Request, name string) {
	f := p.files[name]
	h := w.Header()
	h.Set("Content-Security-Policy", p.policy)
	h.Set("Content-Type", f.kind)
	h.Set("Cache-Control", "no-cache")
	h.Set("ETag", f.tag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.content))
}

// headlines are what the error page is headed, by a problem's code.
var headlines = map[string]string{
	"token-expired": "This link has expired",
	"token-revoked": "The console was stopped",
	"token-unknown": "This link does not open a console",
	"token-node":    "This link is for another service",

	"nova-token":       "This link has expired",
	"nova-port":        "This link does not open a console",
	"nova-unavailable": "OpenStack does not answer",
	"nova-denied":      "OpenStack does not let this service ask",
}

// fail answers with a page that says what is wrong. It works in a frame.
func (p *page) fail(w http.ResponseWriter, why *problem) {
	shown := *why
	if h, ok := headlines[why.Code]; ok {
		shown.Title = h
	}
	var b bytes.Buffer
	if err := p.errors.Execute(&b, &shown); err != nil {
		respondProblem(w, why)
		return
	}
	h := w.Header()
	h.Set("Content-Security-Policy", p.policy)
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(why.Status)
	_, _ = w.Write(b.Bytes())
}

// fleetPage is "/".
func (s *Service) fleetPage(w http.ResponseWriter, r *http.Request) { s.page.serve(w, r, "index.html") }

// consolePage is the console page under its three names. A token that the
// server gets to see is checked now, so that a bad one is answered in words.
// One that stands in the fragment is checked when the page connects.
func (s *Service) consolePage(w http.ResponseWriter, r *http.Request) {
	if text := pageToken(r.URL.Query()); text != "" {
		if _, _, p := s.checkToken(r.Context(), text); p != nil {
			s.metrics.refuse(p.Code)
			s.page.fail(w, p)
			return
		}
	}
	s.page.serve(w, r, "console.html")
}

// pageToken finds the token in a console page's address: as token=T, or
// within path=..., where other proxies' addresses have it.
func pageToken(q url.Values) string {
	if t := q.Get("token"); t != "" {
		return t
	}
	_, query, _ := strings.Cut(q.Get("path"), "?")
	inner, err := url.ParseQuery(query)
	if err != nil {
		return ""
	}
	return inner.Get("token")
}

// staticFile is everything else that pages load.
func (s *Service) staticFile(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.URL.Path, "/")
	if _, ok := s.page.files[name]; !ok {
		respondProblem(w, newProblem(http.StatusNotFound, "path", "There is nothing at %s.", r.URL.Path))
		return
	}
	s.page.serve(w, r, name)
}

// checkToken returns what a token says and the console it opens, or the
// answer to give instead.
func (s *Service) checkToken(ctx context.Context, text string) (token.Claims, *Console, *problem) {
	if s.isNova(text) {
		return s.checkNova(ctx, text)
	}
	claims, err := s.cfg.Tokens.Verify(text, time.Now())
	switch {
	case errors.Is(err, token.ErrExpired):
		return claims, nil, newProblem(http.StatusForbidden, "token-expired",
			"The link to the console of %q has expired. Go back to where you opened it and open the console again.", claims.Node)
	case errors.Is(err, token.ErrRevoked):
		return claims, nil, newProblem(http.StatusForbidden, "token-revoked",
			"The console of %q was stopped after this link was made. Go back to where you opened it and open the console again.", claims.Node)
	case err != nil:
		return claims, nil, newProblem(http.StatusForbidden, "token-unknown",
			"This link does not open a console here: its token is not one of this service. Check that the address was copied whole, or open the console again.")
	}
	c := s.roster.Load().byName[claims.Node]
	if c == nil {
		return claims, nil, newProblem(http.StatusForbidden, "token-node",
			"This link is for the node %q, which this service does not have.", claims.Node)
	}
	return claims, c, nil
}
