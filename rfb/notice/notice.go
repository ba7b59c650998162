// Package notice paints status screens: a card with a node's name, what is
// going on and what to do, over the last picture or a plain dark ground. The
// screen is an rfb.Source, so a viewer sees it where the console's picture
// would be, and needs nothing but RFB to read it.
package notice

import (
	"slices"
	"time"
)

// Tone is how serious a message is. It is shown by a symbol and by a colour.
type Tone uint8

// The tones.
const (
	// Info is for what goes as it should and takes time. Without a countdown
	// a row of dots moves, to show that the screen is alive.
	Info Tone = iota
	// Warning is for what went wrong and mends itself.
	Warning
	// Failure is for what needs a person.
	Failure
)

// Message is what a screen says. Text is UTF-8; characters that the built-in
// fonts lack (they have Latin, Greek and Cyrillic letters) show as a box. A
// letter from a to z at the beginning of Headline or of a line is shown as a
// capital.
type Message struct {
	// Title is the node's name. It has one line and is cut where it is too long.
	Title string
	// Headline says in a few words what is going on.
	Headline string
	// Lines are the details, a paragraph each; an empty one is a gap.
	Lines []string
	// Tone is how serious it is.
	Tone Tone
	// Until is when the next try comes. Where it is not zero, the seconds up
	// to it are counted down.
	Until time.Time
}

func (m Message) equal(o Message) bool {
	return m.Title == o.Title && m.Headline == o.Headline && m.Tone == o.Tone &&
		m.Until.Equal(o.Until) && slices.Equal(m.Lines, o.Lines)
}

// sentences returns m with its sentences as they are shown.
func (m Message) sentences() Message {
	m.Headline = sentence(m.Headline)
	m.Lines = slices.Clone(m.Lines)
	for i, line := range m.Lines {
		m.Lines[i] = sentence(line)
	}
	return m
}

// sentence is text as it is shown on a line of its own. What others say, an error
// for example, often begins with a small letter.
func sentence(text string) string {
	if text != "" && 'a' <= text[0] && text[0] <= 'z' {
		return string(text[0]-'a'+'A') + text[1:]
	}
	return text
}
