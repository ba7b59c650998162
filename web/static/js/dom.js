// Small helpers over the page's elements.

export const $ = (id) => document.getElementById(id);

// say sets an element's text where it differs, so that nothing is laid out or
// read aloud again for nothing.
export function say(element, text) {
	if (element.textContent !== text) {
		element.textContent = text;
	}
}

// make returns a new element with properties (data-... and aria-... as
// attributes) and children, which are elements or texts.
export function make(tag, properties = {}, ...children) {
	const element = document.createElement(tag);
	for (const [name, value] of Object.entries(properties)) {
		if (name.includes("-")) {
			element.setAttribute(name, value);
		} else {
			element[name] = value;
		}
	}
	element.append(...children);
	return element;
}

// press sets a toggle button's state.
export function press(button, on) {
	button.setAttribute("aria-pressed", String(on));
}

// clock writes seconds as minutes and seconds, such as 1:05.
export function clock(seconds) {
	const whole = Math.max(0, Math.ceil(seconds));
	return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

// time writes a moment as the reader's clock does, with the day where it is
// not today's.
export function time(at) {
	const when = new Date(at);
	const today = when.toDateString() === new Date().toDateString();
	return when.toLocaleString([], today ? { timeStyle: "short" } : { dateStyle: "medium", timeStyle: "short" });
}

// sentence is text with a capital at its beginning, as the console shows it:
// a reason often is an error, which begins with a small letter.
export function sentence(text) {
	return text.replace(/^[a-z]/, (letter) => letter.toUpperCase());
}
