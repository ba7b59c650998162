package proxy

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ironglass/ironglass/proxy/keystone"
	"github.com/ironglass/ironglass/proxy/token"
)

// Roles, as Keystone is born with them: each implies the ones after it.
const (
	roleAdmin  = "admin"
	roleMember = "member"
	roleReader = "reader"
)

// personTime bounds what a person's request may take, so that a stream of
// events does not outlive for long what Keystone says of its reader.
const personTime = 15 * time.Minute

// identifyPerson says whose token of Keystone's a request carries. A browser
// never adds that by itself, so where the request comes from does not matter.
func (s *Service) identifyPerson(r *http.Request, a *access, given string) (caller, *problem) {
	person, err := a.Keystone.Check(r.Context(), given)
	switch {
	case errors.Is(err, keystone.ErrRefused):
		s.metrics.refuse("credential")
		return caller{}, newProblem(http.StatusUnauthorized, "credential-wrong",
			"Keystone does not know this token: it has expired, or was revoked, or was never one.")
	case err != nil:
		s.metrics.refuse("keystone")
		return caller{}, newProblem(http.StatusServiceUnavailable, "keystone",
			"Keystone cannot be asked about the token now. The service's log says why.")
	}
	name := person.Name
	if person.Domain != "" {
		name += "@" + person.Domain
	}
	return caller{person: person, name: name}, nil
}

// right is what a person may do with a node: look, operate or, which is "",
// nothing. owns is set for those who may decide over others there.
func (a *access) right(p *keystone.Person, about About) (may token.Mode, owns bool) {
	byRole := token.Mode("")
	switch {
	case p.Has(roleAdmin, roleMember):
		byRole = token.Operate
	case p.Has(roleReader):
		byRole = token.View
	}
	switch {
	case p.System, p.Project != "" && p.Project == about.Owner:
		return byRole, byRole == token.Operate
	case p.Project != "" && p.Project == about.Lessee && byRole == token.Operate:
		return a.Lessee, false
	case p.Project != "" && p.Project == about.Lessee && byRole == token.View && a.Lessee != "":
		return token.View, false
	}
	return "", false
}

// within says who the caller is towards one node, and whether a request to it
// may be made: who may look may read, who may operate may do all. A node that
// is none of a person's business is not there.
func (s *Service) within(r *http.Request, c *Console, by caller) (caller, *problem) {
	if by.person == nil {
		return by, nil
	}
	may, owns := s.access.Load().right(by.person, *c.about.Load())
	switch {
	case may == "":
		s.metrics.refuse("node")
		return by, noNode(r)
	case may == token.View && r.Method != http.MethodGet && r.Method != http.MethodHead:
		s.metrics.refuse("forbidden")
		return by, newProblem(http.StatusForbidden, "forbidden",
			"Your role lets you look only: member of the node's project, or of the system, may do this.")
	}
	by.admin, by.claims.Mode = owns, may
	return by, nil
}

// visible are the consoles that the caller may know of.
func (s *Service) visible(by caller) []*Console {
	all := s.Consoles()
	if by.person == nil {
		return all
	}
	a := s.access.Load()
	some := make([]*Console, 0, len(all))
	for _, c := range all {
		if may, _ := a.right(by.person, *c.about.Load()); may != "" {
			some = append(some, c)
		}
	}
	return some
}

// display is what a person is called at the console; "" for others.
func (c caller) display() string {
	if c.person == nil {
		return ""
	}
	return cleanName(c.person.Name)
}

// bound ends a person's request in time.
func (c caller) bound(r *http.Request) (*http.Request, context.CancelFunc) {
	if c.person == nil {
		return r, func() {}
	}
	end := time.Now().Add(personTime)
	if c.person.Expires.Before(end) {
		end = c.person.Expires
	}
	ctx, cancel := context.WithDeadline(r.Context(), end)
	return r.WithContext(ctx), cancel
}

// keystoneChecks is how often Keystone was asked.
var keystoneChecks = prometheus.NewDesc("ironglass_keystone_checks_total",
	"Tokens that Keystone was asked about, by what came of it.", []string{"result"}, nil)

// collectKeystone tells of what Keystone was asked.
func (s *Service) collectKeystone(ch chan<- prometheus.Metric) {
	k := s.access.Load().Keystone
	if k == nil {
		return
	}
	accepted, refused, failed := k.Counts()
	for result, n := range map[string]uint64{"accepted": accepted, "refused": refused, "failed": failed} {
		ch <- prometheus.MustNewConstMetric(keystoneChecks, prometheus.CounterValue, float64(n), result)
	}
}
