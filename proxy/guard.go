package proxy

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/ironglass/ironglass/proxy/keystone"
	"github.com/ironglass/ironglass/proxy/token"
)

// origin is u's origin as browsers write it.
func origin(u *url.URL) string {
	host := strings.ToLower(u.Host)
	scheme := strings.ToLower(u.Scheme)
	if port := map[string]string{"http": ":80", "https": ":443"}[scheme]; port != "" {
		host = strings.TrimSuffix(host, port)
	}
	return scheme + "://" + host
}

// sameOrigin reports whether the request comes from a page of this service,
// or from no page at all.
func (s *Service) sameOrigin(r *http.Request) bool {
	values := r.Header.Values("Origin")
	if len(values) == 0 {
		return true
	}
	u, err := url.Parse(values[0])
	if err != nil || len(values) != 1 || u.Host == "" {
		return false // "null" is a page that hides where it comes from
	}
	if s.public != nil && origin(u) == origin(s.public) {
		return true
	}
	return strings.EqualFold(u.Host, r.Host)
}

// mayConnect reports whether the page that the request comes from may open a
// websocket.
func (s *Service) mayConnect(r *http.Request) bool {
	if s.sameOrigin(r) {
		return true
	}
	values := r.Header.Values("Origin")
	u, err := url.Parse(values[0])
	if err != nil || len(values) != 1 {
		return false
	}
	_, ok := s.access.Load().origins[origin(u)]
	return ok
}

// checkHost refuses requests that a browser was tricked into sending here.
// Without a credential the service is for people on this machine, so the name
// they reach it by is a loopback one: a page whose own name was made to
// resolve to 127.0.0.1 does not have that (DNS rebinding).
func (s *Service) checkHost(r *http.Request) *problem {
	if s.access.Load().closed() || isLoopback(r.Host) || s.public != nil && strings.EqualFold(r.Host, s.public.Host) {
		return nil
	}
	return newProblem(http.StatusMisdirectedRequest, "host",
		"This service answers under loopback addresses and its public_url only. Set public_url to the address that browsers use.")
}

// isLoopback reports whether host, with or without a port, is this machine's
// own address.
func isLoopback(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.ToLower(strings.Trim(host, "[]")), ".")
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}

// caller is who a request of the API comes from.
type caller struct {
	// admin is set for the holder of the API's credential and, where there is
	// none, for people on this machine.
	admin bool
	// name is the subject of the certificate that says so; else empty.
	name string
	// claims are what the caller's console token says, where admin is not set;
	// of a person's only the mode is.
	claims token.Claims
	// person is whose token of Keystone's it is; nil without one. What the
	// person may do depends on the node: see within.
	person *keystone.Person
}

// decides reports whether the caller may decide over others at the console.
func (c caller) decides() bool { return c.admin || c.claims.Admin }

// mayOperate reports whether the caller may do what a keyboard can.
func (c caller) mayOperate() bool { return c.admin || c.claims.Mode == token.Operate }

// tokenPrefix is what a console token begins with (PASETO v4.public).
const tokenPrefix = "v4.public."

// authorizeConsole is identify for what belongs to one node's console, which
// the holder of a console token may use as well: the console page has no other
// credential. The token is sent as the API's credential is.
func (s *Service) authorizeConsole(r *http.Request, c *Console, need token.Mode) (caller, *problem) {
	scheme, given, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	given = strings.TrimSpace(given)
	if !strings.EqualFold(scheme, "Bearer") || !strings.HasPrefix(given, tokenPrefix) && !s.isNova(given) || equalSecrets(given, s.access.Load().APIToken) {
		return s.identify(r)
	}
	if !s.mayConnect(r) {
		s.metrics.refuse("origin")
		return caller{}, newProblem(http.StatusForbidden, "origin", "Pages of this origin may not use consoles here.")
	}
	claims, of, p := s.checkToken(r.Context(), given)
	switch {
	case p != nil:
		s.metrics.refuse(p.Code)
		return caller{}, p
	case of != c:
		s.metrics.refuse("token-node")
		return caller{}, newProblem(http.StatusForbidden, "token-node", "This token is for the console of another node.")
	case need == token.Operate && claims.Mode != token.Operate:
		s.metrics.refuse("token-mode")
		return caller{}, newProblem(http.StatusForbidden, "token-mode", "This token lets its holder look only.")
	}
	return caller{claims: claims}, nil
}

// identify checks that a request to the API is its sender's own wish and that
// the sender may make it, and says who that is.
func (s *Service) identify(r *http.Request) (caller, *problem) {
	a := s.access.Load()
	if given := r.Header.Get("X-Auth-Token"); given != "" && a.Keystone != nil {
		return s.identifyPerson(r, a, given)
	}
	by := caller{admin: true}
	certificate := a.ClientCertificates && r.TLS != nil && len(r.TLS.VerifiedChains) > 0
	if a.closed() && !certificate {
		scheme, given, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		switch {
		case a.Keystone != nil && given == "":
			return by, newProblem(http.StatusUnauthorized, "credential-missing",
				"The API needs a credential: send a token of Keystone as X-Auth-Token.")
		case a.APIToken == "" && !a.ClientCertificates:
			s.metrics.refuse("credential")
			return by, newProblem(http.StatusUnauthorized, "credential-wrong", "The API takes tokens of Keystone, as X-Auth-Token.")
		case a.APIToken == "":
			return by, newProblem(http.StatusUnauthorized, "credential-missing",
				"The API needs a certificate: send one that the service's api.client_ca has signed.")
		case !strings.EqualFold(scheme, "Bearer"):
			return by, newProblem(http.StatusUnauthorized, "credential-missing",
				"The API needs a credential: send it as Authorization: Bearer.")
		case !equalSecrets(strings.TrimSpace(given), a.APIToken):
			s.metrics.refuse("credential")
			return by, newProblem(http.StatusUnauthorized, "credential-wrong", "The API does not know this credential.")
		}
		return by, nil
	}
	// A browser adds no credential that other pages lack, and a certificate
	// to what other pages send as well, so that is told by where it comes from.
	foreign := r.Header.Get("Sec-Fetch-Site") == "cross-site" || r.Header.Get("Sec-Fetch-Site") == "same-site"
	if !s.sameOrigin(r) || foreign && r.Header.Get("Origin") == "" {
		s.metrics.refuse("origin")
		return by, newProblem(http.StatusForbidden, "origin", "Pages of other sites may not use the API.")
	}
	if certificate {
		by.name = r.TLS.VerifiedChains[0][0].Subject.String()
	}
	return by, nil
}

// equalSecrets compares in a time that tells nothing about b.
func equalSecrets(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// remoteAddress is the network address that the request came from, without
// its port.
func remoteAddress(r *http.Request) string { return hostOf(r.RemoteAddr) }

// hostOf is an address without its port.
func hostOf(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	return host
}
