package cli

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// maxText is the longest text, in bytes, that the service types at once.
	maxText = 64 << 10
	// typingPoll is the time between two questions of how far a text is.
	typingPoll = 250 * time.Millisecond
	// keysTimeout bounds the typing of the keys of one command: of thousands
	// to a slow machine.
	keysTimeout = time.Hour
)

func typeCommand(f *flag.FlagSet) func(Env, []string) error {
	r := remoteFlags(f)
	layout := layoutFlag(f)
	return func(env Env, operands []string) error {
		node, text := operands[0], operands[1]
		if text == "-" {
			given, err := io.ReadAll(io.LimitReader(env.Stdin, maxText+1))
			if err != nil {
				return fmt.Errorf("reading standard input: %w", err)
			}
			text = string(given)
		}
		switch {
		case text == "":
			return usagef("there is nothing to type: give a text, or - and the text on standard input")
		case len(text) > maxText:
			return usagef("the text is longer than %d bytes: type it in parts", maxText)
		}
		c, err := r.client(env)
		if err != nil {
			return err
		}
		defer c.close()
		ctx, _, _, stop := signals(false)
		defer stop()
		return c.typeText(ctx, node, text, *layout, progressOf(env.Stderr))
	}
}

// layoutFlag defines the flag that names a keyboard layout.
func layoutFlag(f *flag.FlagSet) *string {
	return f.String("layout", "", "the keyboard `LAYOUT` of the machine, as in de; default is the node's in the configuration")
}

// typed is how far the service is with a text.
type typed struct {
	Active      bool
	ID          string
	Done, Total int
	Error       string
}

// typeText has a text typed and waits for its end, which a signal brings about.
func (c *client) typeText(ctx context.Context, node, text, layout string, progress func(typed)) error {
	body := map[string]string{"text": text}
	if layout != "" {
		body["layout"] = layout
	}
	var begun typed
	if err := c.exchange(ctx, http.MethodPost, consolePath(node, "text"), body, http.StatusAccepted, &begun); err != nil {
		if ctx.Err() == nil {
			return err
		}
		// It may have begun all the same.
		if err := c.exchange(context.Background(), http.MethodDelete, consolePath(node, "text"), nil, http.StatusNoContent, nil); err != nil {
			return err
		}
		return errors.New("it was cancelled")
	}
	tick := time.NewTicker(typingPoll)
	defer tick.Stop()
	for asked := ctx; ; {
		var now typed
		if err := c.exchange(asked, http.MethodGet, consolePath(node, "text"), nil, http.StatusOK, &now); err != nil && asked.Err() == nil {
			return err
		}
		if asked.Err() == nil {
			progress(now)
			switch {
			case now.ID != begun.ID:
				return errors.New("another text is being typed already; how this one ended is not known")
			case !now.Active && now.Error != "":
				return errors.New(oneLine(now.Error))
			case !now.Active:
				return nil
			}
		}
		select {
		case <-tick.C:
		case <-asked.Done():
			// The service says how far it came.
			asked = context.Background()
			if err := c.exchange(asked, http.MethodDelete, consolePath(node, "text"), nil, http.StatusNoContent, nil); err != nil {
				return fmt.Errorf("the service goes on typing, for it could not be told to end: %w", err)
			}
		}
	}
}

// exchange is ask for an answer in JSON, which goes into v unless it is nil.
func (c *client) exchange(ctx context.Context, method, path string, body any, status int, v any) error {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	answer, err := c.ask(ctx, method, path, nil, body, status)
	if err != nil || v == nil {
		return err
	}
	if err := json.Unmarshal(answer, v); err != nil {
		return fmt.Errorf("what answers at %s is no ironglass service: %w", c.base, err)
	}
	return nil
}

// progressOf returns what shows how far a text is, in one line of a terminal.
func progressOf(w io.Writer) func(typed) {
	file, ok := w.(*os.File)
	if !ok {
		return func(typed) {}
	}
	if _, err := unix.IoctlGetTermios(int(file.Fd()), unix.TCGETS); err != nil {
		return func(typed) {}
	}
	return func(t typed) {
		fmt.Fprintf(file, "\rtyped %d of %d characters", t.Done, t.Total)
		if !t.Active {
			fmt.Fprintln(file)
		}
	}
}

func keysCommand(f *flag.FlagSet) func(Env, []string) error {
	r := remoteFlags(f)
	layout := layoutFlag(f)
	return func(env Env, operands []string) error {
		c, err := r.client(env)
		if err != nil {
			return err
		}
		defer c.close()
		body := map[string]any{"keys": operands[1:]}
		if *layout != "" {
			body["layout"] = *layout
		}
		ctx, cancel := context.WithTimeout(context.Background(), keysTimeout)
		defer cancel()
		_, err = c.ask(ctx, http.MethodPost, consolePath(operands[0], "keys"), nil, body, http.StatusNoContent)
		return err
	}
}
