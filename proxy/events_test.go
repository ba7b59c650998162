package proxy_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ironglass/ironglass/proxy"
	"github.com/ironglass/ironglass/proxy/token"
)

func TestConsoleEvents(t *testing.T) {
	people(t, exclusive, func(t *testing.T, b *bubble) {
		ann := b.come("Ann", operates)
		hers := b.listen(ann.token, ann.secret, "/console/events")
		api := b.listen(bearer, "", "/console/events")
		for l, you := range map[*listener]string{hers: ann.id, api: ""} {
			list := l.take()
			if len(list) != 1 || list[0].name != "console" || list[0].You != you || list[0].operator() != "Ann" || list[0].State != "live" {
				t.Fatalf("at once came %+v", list)
			}
			if told := list[0].Seats.Sessions[0].Remote != ""; told != (you == "") {
				t.Errorf("%q is told where Ann is: %v", you, told)
			}
		}
		after(time.Minute)
		if list := hers.take(); len(list) != 0 || hers.comments != 4 {
			t.Errorf("in a quiet minute came %d comments and %+v", hers.comments, list)
		}

		bob := b.come("Bob", operates)
		wantCode(t, bob.seat("request", nil), "")
		after(time.Second)
		list := hers.take()
		if last := list[len(list)-1]; len(list) > 3 || last.Seats.Sessions[1].RequestedAt == nil {
			t.Errorf("after a request came %+v", list)
		}
		// Many changes are a few events, the last of which says how it is.
		for i := range 100 {
			wantCode(t, bob.seat([...]string{"withdraw", "request"}[i%2], nil), "")
			time.Sleep(20 * time.Millisecond)
		}
		wantCode(t, bob.seat("withdraw", nil), "")
		after(time.Second)
		list = hers.take()
		if last := list[len(list)-1]; len(list) > 10 || last.Seats.Sessions[1].RequestedAt != nil {
			t.Errorf("100 changes are %d events, the last is %+v", len(list), last)
		}
		for i := range list[1:] {
			if d := list[i+1].at.Sub(list[i].at); d < 250*time.Millisecond {
				t.Errorf("two events lie %v apart", d)
			}
		}

		// A token's events end with it.
		api.take()
		if err := b.svc.Console("n").Disable("It was switched off."); err != nil {
			t.Fatal(err)
		}
		after(2 * time.Second)
		if list := hers.take(); !hers.over() || len(list) == 0 || list[len(list)-1].Enabled {
			t.Errorf("over is %v; after the end came %+v", hers.over(), list)
		}
		if list := api.take(); api.over() || len(list) == 0 || list[len(list)-1].Enabled || list[len(list)-1].Reason != "It was switched off." {
			t.Errorf("the holder of the credential was told %+v", list)
		}
		ann.wantEnd(4001, "It was switched off.")
		api.stop()
	})
}

func TestFleetEvents(t *testing.T) {
	people(t, nil, func(t *testing.T, b *bubble) {
		l := b.listen(bearer, "", "/events")
		list := l.take()
		var all struct{ Nodes []map[string]any }
		if len(list) != 1 || list[0].name != "nodes" || json.Unmarshal([]byte(list[0].data), &all) != nil ||
			len(all.Nodes) != 1 || all.Nodes[0]["name"] != "n" || all.Nodes[0]["state"] != "cold" {
			t.Fatalf("at once came %+v", list)
		}
		ann := b.come("Ann", operates)
		after(time.Second)
		list = l.take()
		if last := list[len(list)-1]; len(list) > 4 || last.name != "node" || last.State != "live" || !strings.Contains(last.data, `"viewers":1`) {
			t.Errorf("with a viewer came %+v", list)
		}
		// Leases and seats are none of its business.
		b.asks(ann.token, ann.secret, "POST", "/lease", `{"action":"extend"}`)
		after(time.Second)
		if list = l.take(); len(list) != 0 {
			t.Errorf("for a lease came %+v", list)
		}
		ann.leave()
		after(time.Second)
		if list = l.take(); len(list) != 1 || !strings.Contains(list[0].data, `"viewers":0`) {
			t.Errorf("without a viewer came %+v", list)
		}
		l.stop()
		for credential, code := range map[string]string{ann.token: "credential-wrong", "x": "credential-wrong"} {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://console.example/v1/events", nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Authorization", "Bearer "+credential)
			resp, err := b.client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			wantProblem(t, read(t, resp), 401, code)
		}
	})
}

// subscribe opens a stream of events and reads nothing of it.
func (b *bubble) subscribe(credential string) net.Conn {
	b.t.Helper()
	near, far := net.Pipe()
	b.conns <- addressed{far}
	_, err := fmt.Fprintf(near, "GET /v1/nodes/n/console/events HTTP/1.1\r\nHost: console.example\r\nAuthorization: Bearer %s\r\n\r\n", credential)
	if err != nil {
		b.t.Fatal(err)
	}
	synctest.Wait()
	return near
}

// A subscriber that reads nothing is let go, and holds up nobody until then,
// the service's end included.
func TestSubscriberThatDoesNotRead(t *testing.T) {
	people(t, func(cfg *proxy.Config, n *proxy.Node) {
		cfg.Limits.SessionsPerSource = 2
		n.Seats = proxy.SeatsExclusive
	}, func(t *testing.T, b *bubble) {
		ann := b.come("Ann", operates)
		stuck := b.subscribe(ann.token)
		defer stuck.Close()
		good := b.listen(bearer, "", "/console/events")
		status, text := b.do(ann.token, ann.secret, "GET", "/events", "")
		if status != 429 || !strings.Contains(string(text), `"limit-source"`) {
			t.Errorf("a third subscriber from one address: %d %s", status, text)
		}
		bob := b.come("Bob", operates) // viewers are counted apart
		after(time.Second)
		if list := good.take(); list[len(list)-1].names() != "Ann Bob" {
			t.Errorf("came %+v", list)
		}
		after(time.Minute)
		again := b.listen(ann.token, ann.secret, "/console/events") // there is room again
		good.stop()

		other := b.subscribe(bearer)
		defer other.Close()
		began := time.Now()
		if err := b.svc.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("the end took %v", took)
		}
		if !again.over() {
			t.Error("the events go on")
		}
		for _, p := range []*person{ann, bob} {
			p.wantEnd(1001, "")
		}
		for _, path := range []string{"/events", ""} {
			if status, text := b.do(bearer, "", "GET", path, ""); path != "" && (status != 503 || !strings.Contains(string(text), `"closing"`)) {
				t.Errorf("afterwards %s is %d %s", path, status, text)
			}
		}
	})
}

func TestRenewal(t *testing.T) {
	people(t, leased(proxy.Lease{Idle: -1}), func(t *testing.T, b *bubble) {
		var first struct {
			Token, Mode, Name string
			Admin             bool
		}
		status, text := b.do(bearer, "", "POST", "/tokens", `{"ttl":"1h","name":"Ann","admin":true}`)
		if err := json.Unmarshal(text, &first); err != nil || status != 201 || first.Name != "Ann" || !first.Admin {
			t.Fatalf("%d %s", status, text)
		}
		b.secrets = append(b.secrets, first.Token)
		ann := &person{b: b, token: first.Token, secret: "AnnsSecretAnnsSecret"}
		b.secrets = append(b.secrets, ann.secret)
		renew := func(tok, secret string, want int, code string) (got struct {
			Token, Mode, Name, URL string
			WebsocketURL           string    `json:"websocket_url"`
			ExpiresAt              time.Time `json:"expires_at"`
			Code                   string
		}) {
			t.Helper()
			status, text := b.do(tok, secret, "POST", "/tokens/renew", "")
			if err := json.Unmarshal(text, &got); err != nil || status != want || got.Code != code {
				t.Fatalf("%d %s, not %d %s", status, text, want, code)
			}
			if got.Token != "" {
				b.secrets = append(b.secrets, got.Token)
			}
			return got
		}
		renew(ann.token, ann.secret, 409, "renew") // not yet opened
		ann.open("")
		after(40 * time.Minute)
		ann.press('a', true)
		renew(ann.token, "", 409, "renew")
		renew(ann.token, "somebody-else-s-secret", 409, "renew")
		renew(b.token(operates, time.Hour), ann.secret, 409, "renew") // not what opened it
		renew(bearer, ann.secret, 403, "renew")
		got := renew(ann.token, ann.secret, 201, "")
		c, err := b.tokens.Verify(got.Token, time.Now())
		if err != nil || c.Name != "Ann" || !c.Admin || c.Mode != token.Operate || got.Name != "Ann" ||
			!strings.Contains(got.WebsocketURL, got.Token) || (time.Until(got.ExpiresAt)-time.Hour).Abs() > time.Second {
			t.Errorf("renewed is %+v, %v; the token says %+v, expires in %v", got, err, c, time.Until(got.ExpiresAt))
		}
		after(10 * time.Minute)
		ann.press('a', false)
		after(10*time.Minute + time.Second)
		renew(ann.token, ann.secret, 403, "token-expired")
		ann.token = got.Token
		ann.breakOff()
		renew(ann.token, ann.secret, 409, "renew") // is away
		ann.open("")
		again := renew(ann.token, ann.secret, 201, "")
		if c, err = b.tokens.Verify(again.Token, time.Now()); err != nil || time.Until(c.Expires) > time.Hour+time.Second {
			t.Errorf("renewed again: %+v, %v", c, err)
		}
		if err := b.svc.Console("n").Disable("off"); err != nil {
			t.Fatal(err)
		}
		renew(again.Token, ann.secret, 403, "token-revoked")
		// What cannot be asked for.
		b.svc.Console("n").Enable()
		for body, code := range map[string]string{
			`{"name":"` + strings.Repeat("x", 65) + `"}`: "field",
			`{"name":"a\u0000b"}`:                        "field",
			`{"admin":true,"mode":"view"}`:               "field",
			`{"admin":"yes"}`:                            "field",
		} {
			if status, text := b.do(bearer, "", "POST", "/tokens", body); status != 400 || !strings.Contains(string(text), `"`+code+`"`) {
				t.Errorf("%s: %d %s", body, status, text)
			}
		}
	})
}
