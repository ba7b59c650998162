package proxy

import (
	"net/http"
	"slices"
	"time"

	"github.com/ironglass/ironglass/proxy/token"
	"github.com/ironglass/ironglass/proxy/typing"
)

// maxListed is how many sessions a snapshot lists at most; who has the seat
// and who asks for it go before others.
const maxListed = 64

// snapshot is GET /v1/nodes/{id}/console: all that a console page shows around
// the picture.
type snapshot struct {
	viewpoint
	shared
}

// viewpoint is the part that differs between those who ask.
type viewpoint struct {
	You            string     `json:"you"`
	Mode           token.Mode `json:"mode"`
	TokenExpiresAt *time.Time `json:"token_expires_at"`
}

// shared is the rest, but for what only administrators see.
type shared struct {
	Node      string         `json:"node"`
	UUID      string         `json:"uuid"`
	State     string         `json:"state"`
	Since     time.Time      `json:"since"`
	Reason    string         `json:"reason"`
	RetryAt   *time.Time     `json:"retry_at"`
	Enabled   bool           `json:"enabled"`
	Width     int            `json:"width"`
	Height    int            `json:"height"`
	Seats     seatsView      `json:"seats"`
	Lease     leaseView      `json:"lease"`
	Layout    string         `json:"layout"`
	Layouts   []string       `json:"layouts"`
	Typing    typingState    `json:"typing"`
	Recording recordingState `json:"recording"`
	Power     powerState     `json:"power"`
}

type seatsView struct {
	Policy   SeatPolicy `json:"policy"`
	Operator string     `json:"operator"`
	// GrantsAt is when the one who asked first gets the seat of an operator
	// that does nothing; null unless that counts down.
	GrantsAt *time.Time `json:"grants_at"`
	// Count is how many sessions there are, listed or not.
	Count    int           `json:"count"`
	Sessions []sessionView `json:"sessions"`
}

type sessionView struct {
	ID          string     `json:"id"`
	Name        string     `json:"name"`
	Mode        token.Mode `json:"mode"`
	Operating   bool       `json:"operating"`
	Since       time.Time  `json:"since"`
	RequestedAt *time.Time `json:"requested_at"`
	// Away is set while its connection is broken off.
	Away bool `json:"away"`
	// Remote is its network address, for administrators.
	Remote string `json:"remote,omitempty"`
}

type leaseView struct {
	// IdleSeconds is how long the console goes on without use, 0 for ever.
	IdleSeconds int `json:"idle_seconds"`
	// ExpiresAt is when it ends for want of use, EndsAt when it ends in any
	// case; null where that never is.
	ExpiresAt      *time.Time `json:"expires_at"`
	WarningSeconds int        `json:"warning_seconds"`
	EndsAt         *time.Time `json:"ends_at"`
}

// orNull is a time in JSON; zero is null.
func orNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// viewpointOf is what a snapshot says to the caller alone. you is the ID of
// the session that it acts for.
func viewpointOf(by caller, you string) viewpoint {
	v := viewpoint{You: you, Mode: token.View, TokenExpiresAt: orNull(by.claims.Expires)}
	if by.mayOperate() {
		v.Mode = token.Operate
	}
	return v
}

// shared is what a snapshot says now; remotes is for administrators.
func (c *Console) shared(remotes bool) shared {
	power, text := c.powerState(), c.typingState()
	c.mu.Lock()
	defer c.mu.Unlock()
	st := c.status
	v := shared{
		Node: c.node.Name, UUID: c.node.UUID,
		State: st.State.String(), Since: st.Since.UTC(), Reason: st.Reason, RetryAt: orNull(st.RetryAt), Enabled: st.Enabled,
		Seats: seatsView{Policy: SeatsShared, Sessions: []sessionView{}},
		Lease: leaseView{
			IdleSeconds:    int(max(c.lease.Idle, 0) / time.Second),
			WarningSeconds: int(c.lease.Warning / time.Second),
		},
		Layout: c.node.Layout, Layouts: typing.Layouts(), Typing: text, Recording: c.recordingState(), Power: power,
	}
	if c.node.Seats == SeatsExclusive {
		v.Seats.Policy = SeatsExclusive
	}
	if c.hub == nil {
		return v
	}
	v.Width, v.Height = c.hub.size()
	p := &c.hub.people
	if p.anybody() {
		idle, most := p.lease.ends(time.Unix(0, c.activeAt.Load()))
		v.Lease.ExpiresAt, v.Lease.EndsAt = orNull(idle), orNull(most)
	}
	p.seats.view(&v.Seats, remotes)
	return v
}

// view fills in who is there.
func (s *seats) view(v *seatsView, remotes bool) {
	if s.operator != nil {
		v.Operator = s.operator.id
	}
	v.GrantsAt = orNull(s.grantsAt)
	all := slices.DeleteFunc(slices.Clone(s.all), func(x *session) bool { return !x.there() && x != s.operator })
	v.Count = len(all)
	if len(all) > maxListed {
		rank := func(x *session) int {
			switch {
			case x == s.operator:
				return 0
			case !x.asked.IsZero():
				return 1
			}
			return 2
		}
		slices.SortStableFunc(all, func(a, b *session) int { return rank(a) - rank(b) })
		all = all[:maxListed]
	}
	for _, x := range all {
		one := sessionView{
			ID: x.id, Name: x.name, Mode: x.mode, Operating: s.operates(x), Since: x.since.UTC(),
			RequestedAt: orNull(x.asked), Away: !x.there(),
		}
		if remotes {
			one.Remote = x.remote
		}
		v.Sessions = append(v.Sessions, one)
	}
}

// operator is the name of who has the seat, "" where nobody has or it has none.
func (c *Console) operator() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.hub == nil || c.hub.people.operator == nil {
		return ""
	}
	return c.hub.people.operator.name
}

// getSnapshot is GET /v1/nodes/{id}/console.
func (s *Service) getSnapshot(w http.ResponseWriter, r *http.Request, c *Console, by caller) {
	you, p := sessionOf(r)
	if p != nil {
		respondProblem(w, p)
		return
	}
	respondJSON(w, http.StatusOK, snapshot{viewpointOf(by, you), c.shared(by.decides())})
}
