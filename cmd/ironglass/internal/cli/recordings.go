package cli

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"text/tabwriter"
	"time"
)

func recordingsCommand(f *flag.FlagSet) func(Env, []string) error {
	r := remoteFlags(f)
	id := f.String("fetch", "", "save the recording with this `ID`, for ironglass replay and other players (FBS)")
	file := f.String("to", "", "the `FILE` to save it in; - is standard output; default is NODE-ID.fbs")
	return func(env Env, operands []string) error {
		if *file != "" && *id == "" {
			return usagef("-to %s: name the recording to save with -fetch", *file)
		}
		c, err := r.client(env)
		if err != nil {
			return err
		}
		defer c.close()
		if *id == "" {
			return c.listRecordings(env, operands[0])
		}
		return c.fetchRecording(env, operands[0], *id, *file)
	}
}

func (c *client) listRecordings(env Env, node string) error {
	ctx, cancel := context.WithTimeout(context.Background(), answerTimeout)
	defer cancel()
	answer, err := c.ask(ctx, http.MethodGet, consolePath(node, "recordings"), nil, nil, http.StatusOK)
	if err != nil {
		return err
	}
	var list struct {
		Recordings []struct {
			ID, Mode      string
			Began         time.Time
			Ended         *time.Time
			Bytes         int64
			Seconds       float64
			Width, Height int
		}
	}
	if err := json.Unmarshal(answer, &list); err != nil {
		return fmt.Errorf("what answers at %s is no ironglass service: %w", c.base, err)
	}
	w := tabwriter.NewWriter(env.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tBEGAN\tLENGTH\tSIZE\tBYTES\tMODE\tSTATE")
	for _, i := range list.Recordings {
		state := "ended"
		if i.Ended == nil {
			state = "under way"
		}
		length := time.Duration(i.Seconds * float64(time.Second)).Round(time.Second)
		fmt.Fprintf(w, "%s\t%s\t%v\t%dx%d\t%d\t%s\t%s\n", oneLine(i.ID), i.Began.Local().Format(time.DateTime), length, i.Width, i.Height, i.Bytes, oneLine(i.Mode), state)
	}
	return w.Flush()
}

// fetchRecording saves a recording, which takes as long as it takes.
func (c *client) fetchRecording(env Env, node, id, file string) error {
	write := func(w io.Writer) error {
		return c.fetch(context.Background(), http.MethodGet, consolePath(node, "recordings/"+url.PathEscape(id)), nil, nil, http.StatusOK, w)
	}
	if file == "-" {
		return write(env.Stdout)
	}
	if file == "" {
		file = url.PathEscape(node) + "-" + url.PathEscape(id) + ".fbs"
	}
	if err := replaceBy(file, write); err != nil {
		return err
	}
	_, err := fmt.Fprintln(env.Stdout, file)
	return err
}
