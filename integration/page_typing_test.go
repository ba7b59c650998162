package integration

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestPageTyping: a text that is pasted into the page is typed at the machine
// in the layout that is chosen there. What a layout lacks is named, and then
// nothing is typed; a text that takes long shows how far it is and is stopped.
func TestPageTyping(t *testing.T) {
	n, s := startWith(t, "typing", "keys: {rate: 20}")
	p := newTab(t)
	p.openAs(t, s, n.name, "Ann")
	n.shown(t)
	p.clickOn(t, `[data-panel="type"]`)
	paste := func(layout, text string) {
		t.Helper()
		p.awaitTrue(t, `!document.getElementById("type-layout").disabled`)
		if _, err := evaluate[bool](p, fmt.Sprintf(`(() => {
			const layout = document.getElementById("type-layout"), text = document.getElementById("type-text");
			layout.value = %q;
			text.value = %q;
			return [layout.dispatchEvent(new Event("change")), text.dispatchEvent(new Event("input"))].every(Boolean);
		})()`, layout, text)); err != nil {
			t.Fatal(err)
		}
		p.clickOn(t, "#type-send")
	}
	var want []string
	for _, c := range []struct {
		layout, text string
		arrives      []string
	}{
		{"us", "Zy @2\n", []string{"5a", "79", "20", "40", "32", "ff0d"}},
		{"de", "Zyßä", []string{"5a", "79", "df", "e4"}},
	} {
		paste(c.layout, c.text)
		want = append(want, c.arrives...)
		eventually(t, "the text to arrive", func() error {
			got, err := symbols(n)
			if err == nil && !slices.Equal(got, want) {
				err = fmt.Errorf("arrived %q instead of %q", got, want)
			}
			return err
		})
	}
	paste("us", "aä€ä")
	p.awaitTrue(t, `/“us” has no keys for/.test(document.getElementById("type-untypable-text").textContent)`)
	named, err := evaluate[string](p, `document.getElementById("type-characters").innerText.replace(/\s+/g, " ")`)
	if err != nil || named != "ä 2 times € once" {
		t.Errorf("the page names %q, %v", named, err)
	}
	if got, err := symbols(n); err != nil || !slices.Equal(got, want) {
		t.Errorf("something was typed: %q, %v", got[len(want):], err)
	}
	paste("us", string(slices.Repeat([]byte("x"), 2000)))
	p.awaitTrue(t, `document.getElementById("type-bar").value > 0 && /of 2000 characters/.test(document.getElementById("type-count").textContent)`)
	p.clickOn(t, "#type-cancel")
	p.awaitTrue(t, `document.getElementById("type-progress").hidden && document.querySelector('[data-notice="typing"]')`)
}

// symbols is the keysyms that came to the node's program, whatever modifiers
// it took to make them.
func symbols(n *node) ([]string, error) {
	all, err := n.keyPresses()
	for i, press := range all {
		all[i], _, _ = strings.Cut(press, " ")
	}
	return all, err
}
