package process

import (
	"log/slog"
	"strconv"
	"strings"
)

// entry is a line that a supervisor's slog.TextHandler wrote.
type entry struct {
	level slog.Level
	msg   string
	attrs []slog.Attr // without the time, which is the service's to say
}

// parseEntry takes such a line apart, and reports whether it is one: time,
// level and msg come first, in this order.
func parseEntry(line string) (entry, bool) {
	var e entry
	for n := 0; line != ""; n++ {
		name, rest, ok := strings.Cut(line, "=")
		if !ok || strings.ContainsAny(name, ` "`) {
			return e, false
		}
		value, after, ok := parseValue(rest)
		if !ok || n < 3 && name != [...]string{slog.TimeKey, slog.LevelKey, slog.MessageKey}[n] {
			return e, false
		}
		line = after
		switch n {
		case 0: // the time
		case 1:
			if e.level.UnmarshalText([]byte(value)) != nil {
				return e, false
			}
		case 2:
			e.msg = value
		default:
			e.attrs = append(e.attrs, slog.String(name, value))
		}
	}
	return e, e.msg != ""
}

// parseValue reads a value, quoted or not, and the space that ends it.
func parseValue(s string) (value, after string, ok bool) {
	if strings.HasPrefix(s, `"`) {
		quoted, err := strconv.QuotedPrefix(s)
		if err != nil {
			return "", "", false
		}
		if value, err = strconv.Unquote(quoted); err != nil {
			return "", "", false
		}
		after = s[len(quoted):]
		return printable([]byte(value)), strings.TrimPrefix(after, " "), after == "" || after[0] == ' '
	}
	value, after, _ = strings.Cut(s, " ")
	return value, after, true
}

// wordsOf returns what a line says to a person who asks why the console
// ended: the words of a supervisor's last line without its name, those of a
// warning or an error in its log, and any line of another program. What is
// logged as information is no reason.
func wordsOf(line string) (string, bool) {
	e, ok := parseEntry(line)
	if !ok {
		return strings.TrimPrefix(line, supervisorName+": "), true
	}
	if e.level < slog.LevelWarn {
		return "", false
	}
	words := e.msg
	for _, a := range e.attrs {
		if a.Key == "err" || a.Key == "error" {
			words += ": " + a.Value.String()
		}
	}
	return words, true
}
