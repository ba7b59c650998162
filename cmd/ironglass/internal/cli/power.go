package cli

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// powerActions are what can be asked of a machine's power.
var powerActions = []string{"on", "off", "cycle", "reset"}

func powerCommand(f *flag.FlagSet) func(Env, []string) error {
	r := remoteFlags(f)
	return func(env Env, operands []string) error {
		node, action := operands[0], operands[1]
		if action != "status" && !slices.Contains(powerActions, action) {
			return usagef("power: what is %q? Use one of %s and status", action, strings.Join(powerActions, ", "))
		}
		c, err := r.client(env)
		if err != nil {
			return err
		}
		defer c.close()
		ctx, cancel := context.WithTimeout(context.Background(), answerTimeout)
		defer cancel()
		path := "/v1/nodes/" + url.PathEscape(node) + "/power"
		if action != "status" {
			_, err := c.ask(ctx, http.MethodPost, path, nil, map[string]any{"action": action}, http.StatusNoContent)
			return err
		}
		answer, err := c.ask(ctx, http.MethodGet, path, nil, nil, http.StatusOK)
		if err != nil {
			return err
		}
		var power struct{ State string }
		if err := json.Unmarshal(answer, &power); err != nil {
			return fmt.Errorf("what answers at %s is no ironglass service: %w", c.base, err)
		}
		_, err = fmt.Fprintln(env.Stdout, power.State)
		return err
	}
}
