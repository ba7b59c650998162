package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"image/png"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"text/tabwriter"
	"time"
)

func nodesCommand(f *flag.FlagSet) func(Env, []string) error {
	r := remoteFlags(f)
	return func(env Env, _ []string) error {
		c, err := r.client(env)
		if err != nil {
			return err
		}
		defer c.close()
		ctx, cancel := context.WithTimeout(context.Background(), answerTimeout)
		defer cancel()
		answer, err := c.ask(ctx, http.MethodGet, "/v1/nodes", nil, nil, http.StatusOK)
		if err != nil {
			return err
		}
		var list struct {
			Nodes []struct {
				Name, UUID, Kind, State, Reason string
				Viewers, Width, Height          int
			}
		}
		if err := json.Unmarshal(answer, &list); err != nil {
			return fmt.Errorf("what answers at %s is no ironglass service: %w", c.base, err)
		}
		w := tabwriter.NewWriter(env.Stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "NAME\tSTATE\tVIEWERS\tSIZE\tKIND\tUUID\tREASON")
		for _, n := range list.Nodes {
			size := "-"
			if n.Width > 0 {
				size = fmt.Sprintf("%dx%d", n.Width, n.Height)
			}
			reason := oneLine(n.Reason)
			if reason == "" {
				reason = "-"
			}
			fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\t%s\t%s\n", oneLine(n.Name), oneLine(n.State), n.Viewers, size, oneLine(n.Kind), oneLine(n.UUID), reason)
		}
		return w.Flush()
	}
}

// ticket is a token and the addresses that hold it.
type ticket struct {
	Token string `json:"token"`
	URL   string `json:"url"`
}

// issue asks for a token.
func (c *client) issue(node, mode string, ttl time.Duration) (ticket, error) {
	ctx, cancel := context.WithTimeout(context.Background(), answerTimeout)
	defer cancel()
	body := map[string]string{"mode": mode}
	if ttl > 0 {
		body["ttl"] = ttl.String()
	}
	answer, err := c.ask(ctx, http.MethodPost, consolePath(node, "tokens"), nil, body, http.StatusCreated)
	if err != nil {
		return ticket{}, err
	}
	var t ticket
	if err := json.Unmarshal(answer, &t); err != nil || t.Token == "" || t.URL == "" {
		return ticket{}, fmt.Errorf("what answers at %s is no ironglass service: it gave no token", c.base)
	}
	return t, nil
}

// tokenFlags are the flags of the commands that get a token.
func tokenFlags(f *flag.FlagSet) (remote, *string, *time.Duration) {
	return remoteFlags(f),
		f.String("mode", "operate", "what its holder may do: `view or operate`"),
		f.Duration("ttl", 0, "how long a session may be opened with it; default is the service's, 10m")
}

// ticketFor gets the token that the flags describe.
func ticketFor(env Env, r remote, node, mode string, ttl time.Duration) (ticket, error) {
	if mode != "view" && mode != "operate" {
		return ticket{}, usagef("-mode %q is neither view nor operate", mode)
	}
	if ttl < 0 {
		return ticket{}, usagef("-ttl %v is in the past", ttl)
	}
	c, err := r.client(env)
	if err != nil {
		return ticket{}, err
	}
	defer c.close()
	return c.issue(node, mode, ttl)
}

func tokenCommand(f *flag.FlagSet) func(Env, []string) error {
	r, mode, ttl := tokenFlags(f)
	return func(env Env, operands []string) error {
		t, err := ticketFor(env, r, operands[0], *mode, *ttl)
		if err == nil {
			_, err = fmt.Fprintln(env.Stdout, oneLine(t.Token))
		}
		return err
	}
}

func openCommand(f *flag.FlagSet) func(Env, []string) error {
	r, mode, ttl := tokenFlags(f)
	browser := f.Bool("browser", false, "open it in a browser as well (xdg-open)")
	return func(env Env, operands []string) error {
		t, err := ticketFor(env, r, operands[0], *mode, *ttl)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintln(env.Stdout, oneLine(t.URL)); err != nil || !*browser {
			return err
		}
		// What is started is to be a page and nothing else, whatever answered.
		if u, err := url.Parse(t.URL); err != nil || u.Scheme != "http" && u.Scheme != "https" {
			return fmt.Errorf("the service gave no address of a page")
		}
		opener, err := exec.LookPath("xdg-open")
		if err != nil {
			return fmt.Errorf("no browser can be opened, because xdg-open is missing: install xdg-utils, or open the printed address yourself")
		}
		if out, err := exec.Command(opener, t.URL).CombinedOutput(); err != nil {
			return fmt.Errorf("xdg-open could not open a browser (%w): open the printed address yourself\n%s", err, bytes.TrimSpace(out))
		}
		return nil
	}
}

func screenshotCommand(f *flag.FlagSet) func(Env, []string) error {
	r := remoteFlags(f)
	wait := f.Duration("wait", time.Minute, "how long to wait for the console's picture")
	return func(env Env, operands []string) error {
		node, file := operands[0], operands[1]
		if *wait <= 0 {
			return usagef("-wait %v is not a time to wait", *wait)
		}
		c, err := r.client(env)
		if err != nil {
			return err
		}
		defer c.close()
		ctx, cancel := context.WithTimeout(context.Background(), *wait+answerTimeout)
		defer cancel()
		picture, err := c.ask(ctx, http.MethodGet, consolePath(node, "screenshot"), url.Values{"timeout": {wait.String()}}, nil, http.StatusOK)
		if err != nil {
			return err
		}
		if _, err := png.DecodeConfig(bytes.NewReader(picture)); err != nil {
			return fmt.Errorf("what answers at %s is no ironglass service: it gave no picture (%w)", c.base, err)
		}
		if file == "-" {
			_, err := env.Stdout.Write(picture)
			return err
		}
		return replace(file, picture)
	}
}

// replace writes a file, whole or not at all.
func replace(name string, content []byte) error {
	return replaceBy(name, func(w io.Writer) error {
		_, err := w.Write(content)
		return err
	})
}

// replaceBy has write write a file, whole or not at all.
func replaceBy(name string, write func(w io.Writer) error) error {
	tmp, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*")
	if err != nil {
		return err
	}
	err = write(tmp)
	if cerr := tmp.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(tmp.Name(), name)
	}
	if err != nil {
		os.Remove(tmp.Name())
	}
	return err
}
