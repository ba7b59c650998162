package integration

import (
	"fmt"
	"slices"
	"testing"

	"github.com/chromedp/chromedp"
)

// clickOn clicks on what a selector finds in the page, as a person does.
func (p *tab) clickOn(t testing.TB, selector string) {
	t.Helper()
	p.run(t, "clicking "+selector, chromedp.Click(chromedp.CSS(selector), chromedp.NodeVisible))
}

// awaitTrue waits until an expression is true in the page.
func (p *tab) awaitTrue(t testing.TB, expression string) {
	t.Helper()
	eventually(t, expression, func() error {
		ok, err := evaluate[bool](p, "Boolean("+expression+")")
		if err == nil && !ok {
			text, _ := evaluate[string](p, `document.body.innerText.slice(0, 300)`)
			err = fmt.Errorf("it is not so, and the page reads %q", text)
		}
		return err
	})
}

// TestPageKeys: the keys of the page's menu reach the node's program, and so
// does a modifier that is held for the next key. The latency is measured.
func TestPageKeys(t *testing.T) {
	n, _, p, _ := openPicture(t, "menu", "640x480")
	p.awaitTrue(t, `window.ironglass.latency !== null`)
	p.clickOn(t, `[data-panel="keys"]`)
	if _, err := evaluate[bool](p, `document.querySelectorAll("#panel-keys details").forEach((d) => { d.open = true; }), true`); err != nil {
		t.Fatal(err)
	}
	var want []string
	arrived := func(arrives string) {
		t.Helper()
		want = append(want, arrives)
		eventually(t, "the keys to arrive", func() error {
			got, err := n.keyPresses()
			if err == nil && !slices.Equal(got, want) {
				err = fmt.Errorf("arrived %q instead of %q", got, want)
			}
			return err
		})
	}
	for _, c := range []struct{ keys, arrives string }{
		{"Ctrl+Alt+Delete", "ffff CA"}, {"Alt+F4", "ffc1 A"}, {"Print", "ff61 -"}, {"F12", "ffc9 -"}, {"Ctrl+Alt+F7", "ffc4 CA"},
	} {
		p.clickOn(t, `[data-keys="`+c.keys+`"]`)
		arrived(c.arrives)
	}
	p.clickOn(t, `#panel-keys [data-held="Ctrl"]`)
	p.clickOn(t, `[data-keys="Escape"]`)
	arrived("ff1b C")
	p.clickOn(t, `[data-keys="Insert"]`)
	arrived("ff63 -")
}
